"""Fresh isolation for every episode: a warm zygote that starts programs in jails or plain processes.

Who runs where (one line each process):

- the worker holds a `ZygoteSandbox` (`sandbox`) and talks to
- the *zygote* (`zygote`), which imported the agent once and forks, for every episode,
- a *supervisor* (`supervisor`), which builds the isolation (`jail`, `process`), enforces limits and forks
- the *program* (`program`): the agent itself.

Everything that runs below the worker imports the standard library only, so that a zygote starts in milliseconds.
"""
