# CaPC on one machine, every party a process in a tmux pane. Build it and run the default job, which ends with the label:
#   docker build -t capc . && docker run --rm -it capc
# Flags go to run_protocol.py: `docker run --rm -it capc --n_parties 3 --attach`.
# A member of a federation serves from the same image, with its state in a volume at /state: see deploy/compose.yaml.
# torch comes without CUDA. `--build-arg PIP_EXTRA_INDEX_URL=URL` adds an index of packages.
# The image holds phe, which is GPL-3.0. Who passes it on passes on a combined work, see the README's last section.
FROM debian:bookworm-slim AS base
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 tmux >/dev/null \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home capc \
    && install -d -o capc -g capc -m 0700 /state /letters
WORKDIR /home/capc/capc

FROM base AS build
ARG PIP_EXTRA_INDEX_URL
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends g++ python3-dev python3-venv >/dev/null \
    && rm -rf /var/lib/apt/lists/*
COPY --chown=capc:capc . .
RUN chown capc:capc .
USER capc
RUN PIP_NO_CACHE_DIR=1 python3 bootstrap.py build && rm -rf build
# What a member's service needs besides: files of records, and figures for Prometheus.
RUN python3 -c "import bootstrap; print(*bootstrap.requirements('data'), *bootstrap.requirements('metrics'), sep='\n')" > extras \
    && PIP_NO_CACHE_DIR=1 .venv/bin/python -m pip install --quiet --disable-pip-version-check -r extras && rm extras

FROM base
COPY --from=build --chown=capc:capc /home/capc/capc ./
USER capc
ENV LANG=C.UTF-8
ENTRYPOINT [".venv/bin/python", "run_protocol.py"]
