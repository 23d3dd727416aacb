"""`chaos ui`: runs, experiments, coverage, history, game days and the off-switch as pages of a server on this machine.

access    who may do what: decisions on values
tails     live runs: one reader of a journal, however many look on
starts    runs that were started here: processes of their own
past      what the folder of runs holds, remembered
views     values → pages
handlers  what all of them share, what a request passes before one is asked, and how it answers
pages     what is read
acts      what is done
routes    the addresses
server    the socket, the address that lets somebody in, the loop
"""
