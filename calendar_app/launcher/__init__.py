"""Runs the whole product on one machine from one command: ``python -m calendar_app.launcher`` (``make run``).

It checks what the machine lacks, prepares what the processes (:mod:`calendar_app.launcher.programs`) need, starts
them, watches them and takes them all down again. Several machines use ``Procfile`` with their own supervisor instead.
"""
