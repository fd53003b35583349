# The commands for the whole project; all work is in bootstrap.py, which needs nothing but Python itself.
PYTHON ?= python3

.PHONY: demo demo-securetrain test build clean

demo:
	@$(PYTHON) bootstrap.py demo

demo-securetrain:
	@$(PYTHON) bootstrap.py demo-securetrain

test:
	@$(PYTHON) bootstrap.py test

build:
	@$(PYTHON) bootstrap.py build

clean:
	@$(PYTHON) bootstrap.py clean
