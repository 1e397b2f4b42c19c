"""What reducing a tonne costs 减排成本, who decides to, and the cheapest way to meet the cap: how a market is judged.

    menu               what each firm could do, at what cost, how long it takes to build
    decide             what it starts on the price it expects, and the tonnes that come of it
    equilibrium        the least cost of the same reduction, the price that brings it about, and the market's efficiency
    zero_intelligence  how much of the gains the exchange alone brings about, with traders that know nothing

A carbon market is judged by the tonnes that are reduced and what that costs society, not by volume and turnover
(newsletter 节能减排信息动态 116, August 2017). Nothing here may know a price or a volume that was recorded.
"""
