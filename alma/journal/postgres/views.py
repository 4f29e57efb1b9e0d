"""The views as SQL: what `alma.journal.sqlite.views` has, in Postgres' words.

They say what `alma.core.state.fold` says of the same events; the tests hold them together.
"""

from __future__ import annotations

from typing import Final

from alma.core.events import NOT_RETRIED

_KINDS: Final = ", ".join(f"'{kind}'" for kind in NOT_RETRIED)

READABLE: Final = r"""
BEGIN
    RETURN data::jsonb;
EXCEPTION WHEN untranslatable_character OR invalid_text_representation THEN
    RETURN regexp_replace(data, '(?<!\\)((?:\\\\)*)\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})',
        '\1\\ufffd', 'g')::jsonb;
END"""
"""An event's data as JSON that Postgres takes: it knows neither NUL nor half a surrogate pair."""

_VIEWS: Final = (
    """
CREATE VIEW history AS
SELECT e.position, e.run, r.saga, r.stack, e.seq, e.at, e.epoch, e.type, e.step, e.data
FROM events e JOIN runs r ON r.run = e.run""",
    # The state is set by the last of the events that set it. Going on forward (RunResumed)
    # is one of them only after the run had ended, being attached (RunnerAttached) only once.
    """
CREATE VIEW run_states AS
SELECT r.run, r.saga, r.stack, r.kind, r.created_at,
    CASE s.type
        WHEN 'RunCreated' THEN 'PENDING'
        WHEN 'RunnerAttached' THEN 'RUNNING'
        WHEN 'CompensationStarted' THEN 'COMPENSATING'
        WHEN 'RunResumed' THEN
            CASE WHEN r.kind <> 'up' OR readable(s.data) ->> 'direction' = 'forward'
                THEN 'RUNNING' ELSE 'COMPENSATING' END
        WHEN 'RunCompleted' THEN 'COMPLETED'
        WHEN 'RunCompensated' THEN 'COMPENSATED'
        WHEN 'RunFailed' THEN 'FAILED'
    END AS state,
    CASE WHEN s.type IN ('RunCompleted', 'RunCompensated', 'RunFailed') THEN s.at END AS ended_at,
    (SELECT readable(e.data) ->> 'reason' FROM events e
        WHERE e.run = r.run AND e.type IN ('CompensationStarted', 'RunFailed')
        ORDER BY e.seq DESC LIMIT 1) AS reason,
    (SELECT max(e.seq) FROM events e WHERE e.run = r.run) AS events,
    (SELECT e.at FROM events e WHERE e.run = r.run ORDER BY e.seq DESC LIMIT 1) AS last_at
FROM runs r JOIN events s ON s.run = r.run AND s.seq = (
    SELECT max(e.seq) FROM events e WHERE e.run = r.run AND (
        e.type IN ('RunCreated', 'CompensationStarted', 'RunCompleted', 'RunCompensated',
            'RunFailed')
        OR e.type = 'RunnerAttached' AND NOT EXISTS (
            SELECT 1 FROM events p
            WHERE p.run = e.run AND p.seq < e.seq AND p.type = 'RunnerAttached')
        OR e.type = 'RunResumed' AND (
            readable(e.data) ->> 'direction' = 'back'
            OR 'RunFailed' = (
                SELECT p.type FROM events p
                WHERE p.run = e.run AND p.seq < e.seq
                    AND p.type IN ('CompensationStarted', 'RunFailed', 'RunResumed')
                ORDER BY p.seq DESC LIMIT 1))))""",
    # One row for each intent; its outcome is the last word on it before the same id is used again.
    """
CREATE VIEW operations AS
SELECT i.run, i.seq, i.step, readable(i.data) ->> 'operation' AS operation,
    readable(i.data) ->> 'kind' AS kind, (readable(i.data) ->> 'attempt')::bigint AS attempt,
    i.epoch, i.at AS intended_at,
    CASE o.type
        WHEN 'OperationSucceeded' THEN 'succeeded'
        WHEN 'OperationFailed' THEN 'failed'
        WHEN 'OperationLeftInDoubt' THEN 'in doubt'
        WHEN 'OperationReconciled' THEN 'reconciled'
        ELSE 'open'
    END AS outcome,
    o.at AS ended_at, (readable(o.data) ->> 'seconds')::double precision AS seconds,
    readable(o.data) #>> '{failure,kind}' AS error_kind,
    readable(o.data) #>> '{failure,message}' AS error,
    readable(i.data) ->> 'log' AS log
FROM events i LEFT JOIN events o ON o.run = i.run AND o.seq = (
    SELECT max(x.seq) FROM events x
    WHERE x.run = i.run AND x.seq > i.seq
        AND x.type IN ('OperationSucceeded', 'OperationFailed', 'OperationLeftInDoubt',
            'OperationReconciled')
        AND readable(x.data) ->> 'operation' = readable(i.data) ->> 'operation'
        AND NOT EXISTS (
            SELECT 1 FROM events n
            WHERE n.run = i.run AND n.seq > i.seq AND n.seq < x.seq
                AND n.type = 'OperationIntended'
                AND readable(n.data) ->> 'operation' = readable(i.data) ->> 'operation'))
WHERE i.type = 'OperationIntended'""",
    # A step's state is set by the last event about it, but for two things: a failure with
    # attempts left is none yet, and a failed step of a run that is taken up again is open again.
    """
CREATE VIEW steps AS
WITH plan AS (
    SELECT r.run, r.saga, r.stack, r.kind AS run_kind, d.number,
        d.value ->> 'name' AS step, d.value ->> 'kind' AS kind,
        (d.value #>> '{retry,attempts}')::bigint AS may_try,
        (d.value #>> '{compensation_retry,attempts}')::bigint AS may_undo,
        (SELECT max(e.seq) FROM events e
            WHERE e.run = r.run AND e.step = d.value ->> 'name'
                AND e.type IN ('StepStarted', 'OperationIntended', 'OperationSucceeded',
                    'OperationFailed', 'StepCompensated', 'StepRetained')
                AND readable(e.data) ->> 'kind' IS DISTINCT FROM 'mend') AS last
    FROM runs r
    JOIN events c ON c.run = r.run AND c.seq = (
        SELECT max(e.seq) FROM events e
        WHERE e.run = r.run AND e.type IN ('RunCreated', 'RunResumed')
            AND jsonb_typeof(readable(e.data) -> 'definition') = 'object')
    CROSS JOIN LATERAL jsonb_array_elements(readable(c.data) #> '{definition,steps}')
        WITH ORDINALITY AS d (value, number)
), folded AS (
    SELECT p.*,
        CASE
            WHEN l.type IS NULL THEN 'PENDING'
            WHEN l.type = 'StepStarted' THEN 'RUNNING'
            WHEN l.type = 'StepRetained' THEN 'FAILED'
            WHEN l.type = 'StepCompensated' THEN
                CASE p.run_kind WHEN 'up' THEN 'COMPENSATED' ELSE 'COMPLETED' END
            WHEN l.type = 'OperationSucceeded'
                AND readable(l.data) ->> 'kind' IN ('up', 'action') THEN 'COMPLETED'
            WHEN l.type = 'OperationFailed' AND NOT (p.run_kind <> 'up'
                AND readable(l.data) #>> '{failure,kind}' = 'cancelled') AND (
                readable(l.data) #>> '{failure,kind}' IN (NOT_RETRIED)
                OR (SELECT (readable(i.data) ->> 'attempt')::bigint FROM events i
                    WHERE i.run = p.run AND i.step = p.step AND i.seq < p.last
                        AND i.type = 'OperationIntended' ORDER BY i.seq DESC LIMIT 1)
                    >= CASE WHEN readable(l.data) ->> 'kind' IN ('up', 'action')
                        THEN p.may_try ELSE p.may_undo END) THEN 'FAILED'
            WHEN readable(l.data) ->> 'kind' IN ('up', 'action') OR p.run_kind <> 'up'
                THEN 'RUNNING'
            ELSE 'COMPENSATING'
        END AS last_state
    FROM plan p LEFT JOIN events l ON l.run = p.run AND l.seq = p.last
)
SELECT f.run, f.saga, f.stack, f.number, f.step, f.kind,
    CASE WHEN f.last_state <> 'FAILED' OR EXISTS (
        SELECT 1 FROM events e
        WHERE e.run = f.run AND e.step = f.step AND e.type = 'StepSkipped')
    THEN f.last_state ELSE coalesce((
        SELECT CASE readable(e.data) ->> 'direction'
            WHEN 'forward' THEN 'RUNNING' ELSE 'COMPENSATING' END
        FROM events e
        WHERE e.run = f.run AND e.seq > f.last AND e.type = 'RunResumed'
            AND EXISTS (SELECT 1 FROM events p WHERE p.run = f.run AND p.seq > f.last
                AND p.seq < e.seq AND p.type = 'RunFailed')
        ORDER BY e.seq LIMIT 1), 'FAILED') END AS state,
    (SELECT count(*) FROM events e WHERE e.run = f.run AND e.step = f.step
        AND e.type = 'OperationIntended'
        AND readable(e.data) ->> 'kind' IN ('up', 'action')) AS attempts,
    (SELECT count(*) FROM events e WHERE e.run = f.run AND e.step = f.step
        AND e.type = 'OperationIntended'
        AND readable(e.data) ->> 'kind' NOT IN ('up', 'action', 'mend')) AS undo_attempts,
    (SELECT coalesce(sum((readable(e.data) ->> 'seconds')::double precision), 0.0) FROM events e
        WHERE e.run = f.run AND e.step = f.step
        AND e.type IN ('OperationSucceeded', 'OperationFailed')) AS seconds,
    (SELECT readable(e.data) #>> '{failure,message}' FROM events e
        WHERE e.run = f.run AND e.step = f.step AND e.type = 'OperationFailed'
        ORDER BY e.seq DESC LIMIT 1) AS last_error
FROM folded f""",
    """
CREATE VIEW leftovers AS
SELECT r.run, r.saga, l.value ->> 'step' AS step,
    l.value ->> 'stack' AS stack, l.value ->> 'urn' AS urn,
    l.value ->> 'id' AS id, l.value ->> 'reason' AS reason, e.at
FROM runs r
JOIN events e ON e.run = r.run AND e.seq = (
    SELECT max(x.seq) FROM events x
    WHERE x.run = r.run AND x.type IN ('RunFailed', 'RunResumed'))
CROSS JOIN LATERAL jsonb_array_elements(readable(e.data) -> 'leftovers') AS l (value)
WHERE e.type = 'RunFailed'""",
)

VIEWS: Final = tuple(view.strip().replace("NOT_RETRIED", _KINDS) for view in _VIEWS)
