"""`chaos ui`: runs, experiments, coverage, history, game days and the off-switch as pages of a server on this machine.

access    who may do what: decisions on values
tails     live runs: one reader of a journal, however many look on
starts    runs that were started here: processes of their own
past      what the folder of runs holds, remembered
views     values → pages
handlers  requests → values, answers
server    the socket, the address that lets somebody in, the loop
"""
