"""How bytes reach the desk and leave it. No rule of a session or a market lives here.

door.py        where sockets come in, a few at a time
host.py        the loop that all transports share: clock, turns, timetable, snapshots
mqtt.py        the built-in MQTT 5 server: one connection, packet by packet
pipes.py       below it: TCP, and WebSocket
bridge.py      instead of it: the desk as a client of an existing broker
"""
