-- Each statement returns the ids of rows that break an invariant. Set-based: a workspace of a
-- million pictures is checked by a few scans. Each is one statement, and so one snapshot.

-- name: active_without_job
SELECT generation.id FROM generation INDEXED BY generation_status
LEFT JOIN job ON job.id = generation.job_id
WHERE generation.status IN ('pending', 'queued', 'processing')
  AND (job.id IS NULL OR job.state = 'ended')

-- name: status_disagrees
SELECT generation.id FROM generation INDEXED BY generation_status
JOIN job ON job.id = generation.job_id
WHERE generation.status IN ('pending', 'queued', 'processing')
  AND job.state <> 'ended'
  AND NOT (
      (generation.status = 'pending' AND job.state = 'held')
      OR (generation.status = 'queued' AND job.state IN ('queued', 'running'))
      OR (generation.status = 'processing' AND job.state = 'running'
          AND generation.detail_key IS NOT 'outcome_unknown')
      OR (generation.status = 'processing' AND job.state = 'unknown'
          AND generation.detail_key IS 'outcome_unknown')
  )

-- name: job_without_work
SELECT job.id FROM job
-- What was cancelled after it was sent is followed to its end.
WHERE job.state <> 'ended' AND NOT (job.state = 'running' AND job.cancel_requested = 1)
  AND NOT EXISTS (
      SELECT 1 FROM attempt
      WHERE attempt.job_id = job.id AND attempt.state IN ('intent', 'submitted')
  )
  AND NOT EXISTS (
      SELECT 1 FROM generation
      WHERE generation.job_id = job.id AND generation.status IN ('pending', 'queued', 'processing')
  )

-- name: hold_disagrees
SELECT id FROM job
WHERE (state = 'held') <> (hold IS NOT NULL)
   OR (state = 'held' AND (hold = 'retry') <> (run_at IS NOT NULL))
   OR (state = 'running') > (runner_id IS NOT NULL)

-- name: submission_of_ended_job
SELECT attempt.id FROM attempt JOIN job ON job.id = attempt.job_id
WHERE attempt.state IN ('intent', 'submitted') AND job.state = 'ended'

-- name: ended_incomplete
SELECT id FROM generation
WHERE (status IN ('completed', 'failed', 'cancelled')
        AND (finished_at IS NULL OR finished_at < coalesce(started_at, created_at)))
   OR (status = 'completed') <> (asset_id IS NOT NULL)
   OR (status = 'failed') <> (error_kind IS NOT NULL)
   OR (status = 'completed' AND progress <> 1)
   OR (status IN ('pending', 'queued', 'processing') AND finished_at IS NOT NULL)

-- name: batch_empty
SELECT batch.id FROM batch
WHERE NOT EXISTS (SELECT 1 FROM generation WHERE generation.batch_id = batch.id)

-- name: batch_incomplete
-- Emptying the trash takes single pictures away for good: topics in which that happened (or may
-- have happened, where the feed no longer reaches back so far) are not counted.
SELECT batch.id FROM batch
WHERE batch.n <> (
    SELECT count(DISTINCT idx) FROM generation
    WHERE generation.batch_id = batch.id AND idx BETWEEN 0 AND batch.n - 1
)
  AND EXISTS (SELECT 1 FROM generation WHERE generation.batch_id = batch.id)
  AND batch.topic_id NOT IN (
      SELECT topic_id FROM change
      WHERE entity = 'generation' AND kind = 'delete' AND topic_id IS NOT NULL
  )
  AND (
      NOT EXISTS (SELECT 1 FROM meta WHERE key = 'feed_floor' AND CAST(value AS INTEGER) > 0)
      OR EXISTS (
          SELECT 1 FROM change
          WHERE change.entity = 'batch' AND change.entity_id = batch.id AND change.kind = 'insert'
      )
  )

-- name: wrong_topic
SELECT generation.id FROM generation JOIN batch ON batch.id = generation.batch_id
WHERE generation.topic_id <> batch.topic_id

-- name: net_disagrees
SELECT generation.id FROM generation
LEFT JOIN (
    SELECT generation_id, sum(amount_micro) AS net FROM ledger
    WHERE generation_id IS NOT NULL AND kind IN ('reserve', 'settle', 'release')
    GROUP BY generation_id
) AS booked ON booked.generation_id = generation.id
WHERE coalesce(booked.net, 0) <> CASE
    WHEN generation.status IN ('pending', 'queued', 'processing') THEN -generation.reserved_micro
    WHEN generation.status = 'completed' THEN -generation.cost_micro
    WHEN generation.status = 'failed' AND generation.charged THEN -generation.cost_micro
    ELSE 0
END

-- name: reserved_after_end
SELECT id FROM generation
WHERE status IN ('completed', 'failed', 'cancelled') AND reserved_micro <> 0

-- name: booked_twice
SELECT attempt_key AS id FROM ledger
WHERE attempt_key IS NOT NULL
GROUP BY attempt_key
HAVING sum(kind = 'reserve') > 1 OR sum(kind IN ('settle', 'release')) > 1

-- name: cover_gone
SELECT topic.id FROM topic
WHERE topic.cover_generation_id IS NOT NULL AND topic.deleted_at IS NULL
  AND NOT EXISTS (
      SELECT 1 FROM generation JOIN batch ON batch.id = generation.batch_id
      WHERE generation.id = topic.cover_generation_id AND generation.topic_id = topic.id
        AND generation.status = 'completed'
        AND generation.deleted_at IS NULL AND batch.deleted_at IS NULL
  )

-- name: images_disagree
-- The number that triggers keep, counted anew.
SELECT topic.id FROM topic
LEFT JOIN (
    SELECT topic_id, sum(shown) AS images FROM (
        SELECT g.topic_id, g.status = 'completed' AS shown, max(g.seq)
        FROM generation AS g JOIN batch AS b ON b.id = g.batch_id
        WHERE g.deleted_at IS NULL AND b.deleted_at IS NULL
        GROUP BY g.batch_id, g.idx
    ) GROUP BY topic_id
) AS counted ON counted.topic_id = topic.id
WHERE topic.images <> coalesce(counted.images, 0)

-- name: seq_went_back
SELECT CAST(max(change.seq) AS TEXT) AS id FROM change
HAVING max(change.seq) > coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'change'), 0)
    OR min(change.seq) <= coalesce(
        (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'feed_floor'), 0)

-- name: feed_behind
-- {table} is replaced. The newest change of a row says its revision; SQLite takes the bare columns
-- from the row of the max(). Rows without any change are older than what the feed keeps.
SELECT coalesce(kept.id, newest.entity_id) AS id
FROM (
    SELECT entity_id, kind, rev, max(seq) FROM change INDEXED BY change_entity
    WHERE entity = '{table}'
    GROUP BY entity_id
) AS newest
LEFT JOIN {table} AS kept ON kept.id = newest.entity_id
WHERE CASE
    WHEN kept.id IS NULL THEN newest.kind <> 'delete'
    ELSE newest.kind = 'delete' OR newest.rev <> kept.rev
END

-- name: feed_missing
-- {table} is replaced.
SELECT kept.id FROM {table} AS kept
WHERE NOT EXISTS (SELECT 1 FROM meta WHERE key = 'feed_floor' AND CAST(value AS INTEGER) > 0)
  AND NOT EXISTS (
      SELECT 1 FROM change INDEXED BY change_entity
      WHERE change.entity = '{table}' AND change.entity_id = kept.id
  )

-- name: runners_at_work
SELECT DISTINCT runner_id FROM job INDEXED BY job_running
WHERE state = 'running' AND runner_id IS NOT NULL

-- name: runner_jobs
SELECT count(*) FROM job INDEXED BY job_running WHERE runner_id = ? AND state = 'running'
