"""Recorded days as a load: order flow whose daily volume and mean price follow a recorded tape, through the engine.

    read        a daily CSV as people have it -> Tape
    flow        one recorded day, and the rules in force on it -> COMMAND rows
    run         the days one after another on an engine: were they followed, how fast?
    queueing    how long a message waits at a stated rate of arrival

A load generator, not a simulation 负载发生器，非仿真: what is recorded decides what is sent. So it is no evidence of
realism, none of the checks is run on it, and no part of a season may import it.
"""
