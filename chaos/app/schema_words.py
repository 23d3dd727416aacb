"""What an editor shows beside a key of an experiment, a system or a probe: `Model.key` → one sentence. Faults say it in their own files."""

from __future__ import annotations

from collections.abc import Mapping

_BOUNDS = {
    "min": "the least that it may read, with its unit: 99.5%, 250ms, 12; or `0.9x baseline`",
    "max": "the most that it may read, with its unit: 1%, 250ms, 12; or `2x baseline`",
}
_STEADY = {
    **_BOUNDS,
    "judged": "when the bounds must hold: before, during and after the fault, or `continuous`, or `eventually`",
    "within": "how long after the undo it may take to be back within its bounds",
    "for": "how long it may be out of its bounds where every reading counts",
}
_EXPERIMENT = {
    "name": "what it is called in history, coverage and reports; letters, digits, dots and dashes",
    "description": "the hypothesis in one or two sentences: if this happens, that alert tells, and users are served",
    "owner": "the team that answers for it",
    "tags": "words to find it by",
    "system": "where it runs: a system file, or a lab that is up; `--system` overrides it",
    "steady_state": "what holds when the system is healthy: must hold before anything is hurt, and again afterwards",
    "load": "the run's own traffic, with which nobody else is hurt",
    "blast_radius": "the most that may be hurt, and what ends the run at once",
    "baseline": "the quiet time before the fault, in which bounds are learned and false alarms are counted",
    "faults": "what goes wrong, at once or one after another; `chaos faults` explains each",
    "recovery": "how long the system and its alerts may take to settle after the undo",
    "sweep": "the same fault at several severities: from which one on is anybody told?",
    "expect": "what must break, what must survive, and who must be told",
}
_RADIUS = {
    "mode": "`live` hurts answers that are received; `shadow` hurts copies that only a shadow's consumer reads",
    "subjects": "`synthetic`: only the run's own load; `users`: real people, too",
    "traffic": "the share of subjects that may be hurt, always the same ones",
    "by": "what a subject is: header:NAME, cookie:NAME, query:NAME, json:$.path or request",
    "where": 'only this slice of requests, such as json:$.region == "north"',
    "most": "the most requests that are ever hurt, whatever the traffic",
    "containers": "how many containers may be hurt at once",
    "max_duration": "everything is undone by then, even if the runner dies",
    "abort": "guards: one breach undoes everything at once",
    "lease": "how long a proxy keeps a fault on after the run last renewed it",
}
_EXPECT = {
    "telemetry": "whose telemetry is read: the live service's, or that of the shadow's consumer",
    "harms": "steady-state probes that the fault must break; unharmed means that it was too weak to test anything",
    "holds": "steady-state probes that must survive; all that are not in `harms` when left out",
    "alerts": "the alerts that must tell",
    "quiet": "true: no other alert of the system may start; or a list of those that must not",
    "control": "`unharmed`: nobody outside of the treatment arm may be worse off",
    "arms": "`held`: treatment must not do worse than control",
    "judge": "`projected`: judged by what the alerts would have done had everybody been hurt, which proves nothing",
}
_ALERT = {
    "alert": "the rule's name in Prometheus",
    "labels": "labels that the alert must carry, where several rules have its name",
    "within": "how soon after the first proven effect it must tell",
    "delivered_to": "a receiver of the system file, which must hear of it; left out, delivery is not judged",
    "resolved_within": "how soon after the proven removal it must be resolved",
    "via": "`sink`: Prometheus does not know it, so that only its receiver can tell",
}
_LOAD = {
    "rate": "requests a second, whatever the system does",
    "data": "the rows: SYSTEM:NAME with a name under the system file's `data:`, or a file beside the experiment",
    "feedback": "true outcomes are told, as the system file's `feedback:` says where",
    "returning": "the share of requests by subjects that were seen before",
    "warmup": "how long the load runs before the baseline begins",
    "limit": "the most requests that are sent at all, for models that cost money",
}
_SWEEP = {
    "parameter": "what is varied: `traffic`, or a key of the fault",
    "over": "the values, from the mildest to the most severe",
    "from": "the mildest value of a bisection",
    "to": "the most severe value of a bisection",
    "steps": "how many runs a bisection may take",
    "repeats": "runs at each severity",
}
_SYSTEM = {
    "name": "what it is called, as in `data: NAME:rows`",
    "environment": "lab, staging or production; production asks for --yes",
    "opt_in": "the label that a container must carry before it is touched",
    "entry": "where users' traffic enters: the load goes there",
    "request": "how a row of the data becomes a request",
    "feedback": "where true outcomes are told",
    "data": "names of data → files beside this one, JSON lines or CSV",
    "targets": "each model service: what stands in front of it, and what it runs in",
    "telemetry": "where metrics, rules and alerts are",
    "alerts": "which alerts are this system's",
    "receivers": "Alertmanager's receivers → the sinks that hear what they are told",
    "real_users": "who allowed answers of real people to be made wrong, and why",
    "announce": "who is told of every run, before and after",
    "variables": "what probes' $names become: job, model_job, window, …",
}
_TARGET = {
    "proxies": "control addresses of the fault proxies in front of it",
    "token": "what the proxies ask for: ${NAME}, or ${file:NAME} for a file beside this one",
    "protocol": "what its traffic speaks; `auto` lets the proxy find out; see `chaos protocols`",
    "output": "where the decision is in an answer, if the protocol cannot say",
    "input": "what a request asks, if the protocol cannot say",
    "docker": "its containers, by labels",
    "process": "its local processes, by a table and labels",
    "driver": "a container driver that a package adds",
}
_OUTPUT = {
    "label": "the output, key or $.path with the decision",
    "scores": "the output, key or $.path with one number for each class",
    "classes": "the classes, in the order of `scores`",
    "score": "the output, key or $.path with one number for each row",
    "positive": "the class whose probability `score` is",
    "threshold": "from which score on the decision is `positive`",
}
_REQUEST = {
    "json": "the body; $row.NAME is a column of the data, and `$row` alone the whole row",
    "headers": "headers, with the same places",
    "subject": "what a subject is: header:NAME, cookie:NAME, query:NAME or json:$.path",
    "answer": "where an answer says what was decided",
    "label": "the column with the truth",
    "positive": "the decision that counts as positive",
    "slice": "the column that outcomes are counted by",
}
_PROBE = {
    "query": "PromQL; $job, $window and other $names are the system file's `variables:`",
    "unit": "what its value counts: ratio, s, 1/s, …; nothing for a plain number",
    "better": "whether lower or higher values are better",
    "when_missing": "`zero`: a query that returns nothing returns a zero; else nobody can tell",
    "count": "how many events the query rests on",
    "needs": "how many of `count` there must be before anything is concluded",
    "arms": "who knows which arm an event belongs to",
    "signal": "what a fault can predict of it",
    "doc": "what it says, in one sentence",
    "source": "where its definition comes from",
    "sample": "series with which promtool proves the query",
}
_INLINE = {
    "name": "what it is called in this experiment",
    "promql": "the query",
    "unit": 'what its value counts: ratio, s, 1/s, …; `""` for a plain number',
    "better": _PROBE["better"],
    "when_missing": _PROBE["when_missing"],
}
_SMALL = {
    "AlertMatch.alert": "labels of alerts that end the run",
    "GuardArms.arms": "what the arms are compared in: mistakes, errors, or slow requests",
    "GuardArms.worse_than": "how many times as bad as control treatment may be; `2x`",
    "GuardProbe.probe": "a probe of the catalogue; `chaos probes` lists them",
    "GuardProbe.for": "how long it must be out of its bounds before the run ends",
    "SteadyProbe.probe": "a probe of the catalogue; `chaos probes` lists them",
    "LoadFeedback.after": "how long after the answer the truth is told",
    "LoadFeedback.share": "how many answers the truth is told of",
    "Alerts.match": "labels that every alert of this system carries",
    "Announce.webhook": "where a JSON text is posted",
    "Answer.decision": "the $.path to the decision",
    "Answer.id": "the $.path to what feedback names the answer by",
    "DockerSelector.labels": "labels that all must match",
    "DockerSelector.host": "another engine, as DOCKER_HOST would name it",
    "ProcessSelector.table": "a JSON table of processes beside this file",
    "ProcessSelector.labels": "labels that all must match",
    "Feedback.post": "where true outcomes are posted",
    "Feedback.json": "the body; $row.NAME, $answer.id and $label are placed",
    "RealUsers.allowed_by": "who allowed it",
    "RealUsers.reason": "why",
    "Receiver.sink": "the address of its `chaos sink`",
    "Telemetry.prometheus": "where queries go",
    "Telemetry.rules": "where alert rules are evaluated, if elsewhere",
    "Telemetry.alertmanager": "who tells people",
    "Telemetry.headers": "headers of every query, such as a token",
    "Sample.with": "the $names",
    "Sample.series": "series, in promtool's notation",
    "Sample.at": "when the query is asked",
    "Sample.gives": "what it must return",
}
_KEYS = {
    "Experiment": _EXPERIMENT,
    "BlastRadius": _RADIUS,
    "Expect": _EXPECT,
    "ExpectedAlert": _ALERT,
    "Load": _LOAD,
    "SweepEntry": _SWEEP,
    "SteadyProbe": _STEADY,
    "SteadyInline": {**_STEADY, **_INLINE},
    "GuardProbe": _BOUNDS,
    "System": _SYSTEM,
    "Target": _TARGET,
    "Output": _OUTPUT,
    "Request": _REQUEST,
    "Probe": _PROBE,
}
WORDS: Mapping[str, str] = {
    f"{model}.{key}": said for model, keys in _KEYS.items() for key, said in keys.items()
} | _SMALL
