"""Functions of users' own, named by an import path `package.module:function` or by an entry point.

`registry` knows the names. `calling` has a function called in a child process, and `child` is that process. What a
function gets and returns stands with its kind, in `parties.learning.datasets`, `models` and `selection`.
"""
