-- Jobs: claiming, giving back, ending. `:open` states are spelled out, so that partial indexes and
-- the status index can be used.

-- name: running_counts
SELECT lane, owner, count(*) AS jobs FROM job WHERE state = 'running' GROUP BY lane, owner;

-- name: lane_heads
-- One row per owner who has queued jobs in the lane: the job that is first there. The recursion
-- jumps from owner to owner in the index job_claim, so its cost is the number of owners and not
-- the length of the queue. The pair's rowid comes last: SQLite has no loose index scan by itself.
WITH RECURSIVE waiting (owner) AS (
    SELECT min(owner) FROM job INDEXED BY job_claim WHERE state = 'queued' AND lane = :lane
    UNION ALL
    SELECT (
        SELECT min(owner) FROM job INDEXED BY job_claim
        WHERE state = 'queued' AND lane = :lane AND owner > waiting.owner
    )
    FROM waiting
    WHERE waiting.owner IS NOT NULL
)
SELECT job.seq, job.priority, job.owner
FROM waiting
JOIN job ON job.seq = (
    SELECT first.seq FROM job AS first INDEXED BY job_claim
    WHERE first.state = 'queued' AND first.lane = :lane AND first.owner = waiting.owner
    ORDER BY first.priority DESC, first.seq
    LIMIT 1
)
WHERE waiting.owner IS NOT NULL;

-- name: next_head
SELECT seq, priority, owner FROM job INDEXED BY job_claim
WHERE state = 'queued' AND lane = :lane AND owner = :owner
ORDER BY priority DESC, seq
LIMIT 1;

-- name: next_heads
SELECT seq, priority, owner FROM job INDEXED BY job_claim
WHERE state = 'queued' AND lane = :lane AND owner = :owner
ORDER BY priority DESC, seq
LIMIT :limit;

-- name: heads_of
-- An owner's first queued job in each lane; jumps from lane to lane as lane_heads from owner to
-- owner.
WITH RECURSIVE lanes (lane) AS (
    SELECT min(lane) FROM job INDEXED BY job_claim WHERE state = 'queued'
    UNION ALL
    SELECT (
        SELECT min(lane) FROM job INDEXED BY job_claim
        WHERE state = 'queued' AND lane > lanes.lane
    )
    FROM lanes
    WHERE lanes.lane IS NOT NULL
)
SELECT job.lane, job.seq, job.priority
FROM lanes
JOIN job ON job.seq = (
    SELECT first.seq FROM job AS first INDEXED BY job_claim
    WHERE first.state = 'queued' AND first.lane = lanes.lane AND first.owner = :owner
    ORDER BY first.priority DESC, first.seq
    LIMIT 1
)
WHERE lanes.lane IS NOT NULL;

-- name: open_images
-- How many images some jobs have still to make.
SELECT count(*) FROM json_each(?) AS wanted
CROSS JOIN job ON job.seq = wanted.value
CROSS JOIN generation INDEXED BY generation_job ON generation.job_id = job.id
WHERE generation.status IN ('pending', 'queued', 'processing');

-- name: take
UPDATE job
SET state = 'running', attempt = attempt + 1, runner_id = :runner, claimed_at = :now,
    hold = NULL, run_at = NULL
WHERE seq = :seq AND state = 'queued'
RETURNING *;

-- name: running_of
SELECT * FROM job INDEXED BY job_running WHERE runner_id = ? AND state = 'running' ORDER BY seq;

-- name: fenced_running
SELECT * FROM job WHERE id = ? AND runner_id = ? AND attempt = ? AND state = 'running';

-- name: fenced
-- The job as this claim left it: still running, or ended by it.
SELECT * FROM job WHERE id = ? AND runner_id = ? AND attempt = ? AND state IN ('running', 'ended');

-- name: open_generations
SELECT * FROM generation
WHERE job_id = ? AND status IN ('pending', 'queued', 'processing')
ORDER BY idx, seq;

-- name: asked_for
-- Late pictures that were adopted belong to the job, too, but nobody asked for them.
SELECT * FROM generation
WHERE job_id = :job_id
  AND (status IN ('pending', 'queued', 'processing') OR finished_at >= :since)
  AND NOT EXISTS (
      SELECT 1 FROM generation AS original
      WHERE original.id = generation.retry_of AND original.job_id = :job_id
  )
ORDER BY idx, seq;

-- name: has_open
SELECT EXISTS (
    SELECT 1 FROM generation WHERE job_id = ? AND status IN ('pending', 'queued', 'processing')
);

-- name: job_inputs
SELECT input.asset_id, input.role, input.position, asset.mime
FROM input JOIN asset ON asset.id = input.asset_id
WHERE input.generation_id = ?
ORDER BY input.role, input.position;

-- name: end
UPDATE job
SET state = 'ended', ended_at = :now, hold = NULL, run_at = NULL
WHERE id = :id AND state <> 'ended';

-- name: queue
UPDATE job SET state = 'queued', hold = NULL, run_at = NULL, runner_id = NULL WHERE id = ?;

-- name: hold_paused
UPDATE job SET state = 'held', hold = 'paused', run_at = NULL, runner_id = NULL WHERE id = ?;

-- name: hold_for_retry
UPDATE job
SET state = 'held', hold = 'retry', run_at = :run_at, tries = tries + :counted, runner_id = NULL,
    claimed_at = NULL
WHERE id = :id;

-- name: due
SELECT id, owner FROM job INDEXED BY job_due
WHERE state = 'held' AND hold = 'retry' AND run_at <= :now
UNION ALL
SELECT id, owner FROM job INDEXED BY job_due
WHERE state = 'held' AND hold = 'retry' AND run_at > :farthest;

-- name: next_due
SELECT min(run_at) FROM job INDEXED BY job_due WHERE state = 'held' AND hold = 'retry';

-- name: open_attempt
SELECT * FROM attempt
WHERE job_id = ? AND state IN ('intent', 'submitted')
ORDER BY seq DESC
LIMIT 1;

-- name: close_attempts
-- No attempt ends before it began: the clock may have been set back since.
UPDATE attempt SET state = :state, finished_at = max(:now, started_at, coalesce(sent_at, 0))
WHERE job_id = :job_id AND state IN ('intent', 'submitted');

-- name: insert_attempt
INSERT INTO attempt (id, job_id, generation_id, number, provider, model, idempotency_key,
    request_sha, state, runner_id, started_at)
VALUES (:id, :job_id, :generation_id,
    (SELECT coalesce(max(number), 0) + 1 FROM attempt WHERE job_id = :job_id),
    :provider, :model, :key, :request_sha, 'intent', :runner_id, :now);

-- name: reopen_attempt
-- The same key goes out again: resumed by another worker, or tried again after a clear failure.
UPDATE attempt
SET runner_id = :runner_id, state = CASE WHEN state = 'submitted' THEN state ELSE 'intent' END,
    request_sha = :request_sha, finished_at = NULL, error_kind = NULL, error_message = NULL
WHERE id = :id;

-- name: submitted
UPDATE attempt
SET state = 'submitted', remote_id = :remote_id, remote = :remote, resumable = :resumable,
    sent_at = coalesce(sent_at, max(:now, started_at))
WHERE id = :id AND job_id = :job_id AND state IN ('intent', 'submitted');

-- name: same_remote
SELECT id FROM attempt WHERE provider = ? AND remote_id = ? AND id <> ?;

-- name: end_attempt
UPDATE attempt
SET state = :state, finished_at = max(:now, started_at, coalesce(sent_at, 0)),
    error_kind = :error_kind, error_message = :error_message,
    usage = coalesce(:usage, usage)
WHERE id = :id
RETURNING job_id;

-- name: cancellable
-- Open generations that a cancel can end; the outcome of a paid call is not cancelled away.
SELECT id, job_id, owner, unit, reserved_micro, rate_version, created_at, started_at
FROM generation
WHERE id IN (SELECT value FROM json_each(?))
  AND status IN ('pending', 'queued', 'processing')
  AND detail_key IS NOT 'outcome_unknown'
ORDER BY seq;

-- name: end_cancelled_jobs
UPDATE job
SET state = 'ended', ended_at = :now, hold = NULL, run_at = NULL, cancel_requested = 1
WHERE id IN (SELECT value FROM json_each(:jobs))
  AND state IN ('held', 'queued')
  AND NOT EXISTS (
      SELECT 1 FROM generation
      WHERE generation.job_id = job.id AND generation.status IN ('pending', 'queued', 'processing')
  )
  AND NOT EXISTS (
      SELECT 1 FROM attempt
      WHERE attempt.job_id = job.id AND attempt.state IN ('intent', 'submitted')
  );

-- name: ask_runners_to_cancel
UPDATE job
SET cancel_requested = 1
WHERE id IN (SELECT value FROM json_each(:jobs))
  AND state = 'running'
  AND NOT EXISTS (
      SELECT 1 FROM generation
      WHERE generation.job_id = job.id AND generation.status IN ('pending', 'queued', 'processing')
  );

-- name: pause
UPDATE job INDEXED BY job_claim
SET state = 'held', hold = 'paused'
WHERE state = 'queued' AND (:owner IS NULL OR owner = :owner)
RETURNING id;

-- name: resume
UPDATE job
SET state = 'queued', hold = NULL
WHERE state = 'held' AND hold = 'paused' AND (:owner IS NULL OR owner = :owner)
  AND NOT EXISTS (
      SELECT 1 FROM preference
      WHERE preference.key = 'paused' AND preference.value = 'true'
        AND preference.owner IN (job.owner, '')
  )
RETURNING id;

-- name: generations_of_jobs
SELECT id FROM generation
WHERE job_id IN (SELECT value FROM json_each(?)) AND status IN ('pending', 'queued', 'processing')
ORDER BY seq;

-- name: waiting_jobs
-- Jobs of open generations that still wait, for "run next".
SELECT DISTINCT job.id, job.owner FROM generation JOIN job ON job.id = generation.job_id
WHERE generation.id IN (SELECT value FROM json_each(?)) AND job.state IN ('queued', 'held');

-- name: highest_priority
SELECT max(highest) FROM (
    SELECT max(priority) AS highest FROM job INDEXED BY job_claim
    WHERE state = 'queued' AND owner = :owner
    UNION ALL
    SELECT max(priority) FROM job INDEXED BY job_held WHERE state = 'held' AND owner = :owner
);

-- name: split_job
-- One generation leaves a job that makes several, because its settings become its own.
INSERT INTO job (id, batch_id, provider, model, lane, owner, priority, state, hold, run_at, tries,
    deaths, created_at)
SELECT :new_id, batch_id, provider, model, lane, owner, priority, state, hold, run_at, tries,
    deaths, :now
FROM job WHERE id = :id;

-- name: insert_job
INSERT INTO job (id, batch_id, provider, model, lane, owner, priority, state, hold, created_at)
VALUES (:id, :batch_id, :provider, :model, :lane, :owner, :priority, :state, :hold, :now);

-- name: copy_inputs
INSERT INTO input (generation_id, asset_id, role, position)
SELECT :new_id, asset_id, role, position FROM input WHERE generation_id = :id;

-- name: selected_batch
SELECT id, status, detail_key FROM generation WHERE batch_id = :batch_id ORDER BY seq;

-- name: selected_topic
SELECT id, status, detail_key FROM generation INDEXED BY generation_status
WHERE status IN ('pending', 'queued', 'processing') AND topic_id = :topic_id
  AND (:owner IS NULL OR owner = :owner)
ORDER BY seq;

-- name: selected_everything
SELECT id, status, detail_key FROM generation INDEXED BY generation_status
WHERE status IN ('pending', 'queued', 'processing') AND (:owner IS NULL OR owner = :owner)
ORDER BY seq;

-- name: active_retry
SELECT id FROM generation
WHERE retry_of = ? AND status IN ('pending', 'queued', 'processing')
  AND detail_key IS NOT 'outcome_unknown'
ORDER BY seq DESC
LIMIT 1;

-- name: late
-- What came for a generation after its end: a picture, what was charged without one, or the doubt.
SELECT * FROM generation
WHERE retry_of = :id AND job_id = :job_id AND status <> 'cancelled'
ORDER BY status = 'completed' DESC, status = 'failed' DESC, seq
LIMIT 1;

-- name: owed
-- Cancelled since the open submission began, and nothing stands beside them yet: what became of
-- them only the answer can say.
SELECT generation.* FROM attempt
CROSS JOIN generation INDEXED BY generation_job ON generation.job_id = attempt.job_id
WHERE attempt.job_id = :job_id AND attempt.state IN ('intent', 'submitted')
  AND generation.status = 'cancelled' AND generation.finished_at >= attempt.started_at
  AND NOT EXISTS (
      SELECT 1 FROM generation AS other INDEXED BY generation_job
      WHERE other.job_id = :job_id
        AND (other.id = generation.retry_of
             OR (other.retry_of = generation.id AND other.status <> 'cancelled'))
  )
ORDER BY generation.idx, generation.seq;

-- name: is_sent
SELECT EXISTS (
    SELECT 1 FROM attempt WHERE job_id = ? AND state IN ('intent', 'submitted'));

-- name: unknown_with_reference
-- Waiting for a person, although their provider can be asked once more by what it gave.
SELECT DISTINCT job.* FROM generation INDEXED BY generation_status
CROSS JOIN job ON job.id = generation.job_id
CROSS JOIN attempt ON attempt.job_id = job.id
WHERE generation.status = 'processing' AND generation.detail_key = 'outcome_unknown'
  AND job.state = 'unknown' AND job.provider = ? AND job.deaths < ?
  AND attempt.state = 'unknown' AND attempt.resumable
  AND attempt.seq = (SELECT max(last.seq) FROM attempt AS last WHERE last.job_id = job.id)
ORDER BY job.seq;

-- name: reopen_unknown
UPDATE attempt SET state = 'submitted', finished_at = NULL
WHERE seq = (SELECT max(seq) FROM attempt WHERE job_id = ?) AND state = 'unknown';

-- name: price_reserved
-- What a change gave back has a key of its own; the picture's own release is its end.
SELECT -sum(amount_micro) FROM ledger
WHERE generation_id = ?1 AND unit = (SELECT unit FROM generation WHERE id = ?1)
  AND (kind = 'reserve' OR (kind = 'release' AND attempt_key <> ?1));
