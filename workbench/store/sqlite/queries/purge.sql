-- What goes: rows in the trash since before :before (of :owner, or everybody's), and all within
-- them. Pictures that have not ended stay, and those whose call is still under way: what it costs
-- is not known yet.

-- name: generations
SELECT g.* FROM generation AS g WHERE g.seq IN (
    SELECT * FROM (
        SELECT seq FROM generation INDEXED BY generation_trash
        WHERE deleted_at IS NOT NULL AND deleted_at < :before
          AND (:owner IS NULL OR owner = :owner)
          AND status IN ('completed', 'failed', 'cancelled')
          AND NOT EXISTS (
              SELECT 1 FROM job WHERE job.id = generation.job_id AND job.state <> 'ended'
          )
        LIMIT :limit
    )
    UNION
    SELECT * FROM (
        SELECT x.seq FROM batch AS b INDEXED BY batch_trash
        CROSS JOIN generation AS x INDEXED BY generation_batch ON x.batch_id = b.id
        WHERE b.deleted_at IS NOT NULL AND b.deleted_at < :before
          AND (:owner IS NULL OR b.owner = :owner)
          AND x.status IN ('completed', 'failed', 'cancelled')
          AND NOT EXISTS (SELECT 1 FROM job WHERE job.id = x.job_id AND job.state <> 'ended')
        LIMIT :limit
    )
    UNION
    SELECT * FROM (
        SELECT x.seq FROM topic AS t INDEXED BY topic_trash
        CROSS JOIN generation AS x INDEXED BY generation_topic ON x.topic_id = t.id
        WHERE t.deleted_at IS NOT NULL AND t.deleted_at < :before
          AND (:owner IS NULL OR t.owner = :owner)
          AND x.status IN ('completed', 'failed', 'cancelled')
          AND NOT EXISTS (SELECT 1 FROM job WHERE job.id = x.job_id AND job.state <> 'ended')
        LIMIT :limit
    )
    UNION
    SELECT * FROM (
        SELECT x.seq FROM project AS p
        CROSS JOIN topic AS t INDEXED BY topic_project ON t.project_id = p.id
        CROSS JOIN generation AS x INDEXED BY generation_topic ON x.topic_id = t.id
        WHERE p.deleted_at IS NOT NULL AND p.deleted_at < :before
          AND (:owner IS NULL OR p.owner = :owner)
          AND x.status IN ('completed', 'failed', 'cancelled')
          AND NOT EXISTS (SELECT 1 FROM job WHERE job.id = x.job_id AND job.state <> 'ended')
        LIMIT :limit
    )
    LIMIT :limit
)

-- name: messages
SELECT m.* FROM topic AS t
CROSS JOIN project AS p ON p.id = t.project_id
CROSS JOIN message AS m INDEXED BY message_topic ON m.topic_id = t.id
WHERE (
    (t.deleted_at < :before AND (:owner IS NULL OR t.owner = :owner))
    OR (p.deleted_at < :before AND (:owner IS NULL OR p.owner = :owner))
) AND NOT EXISTS (SELECT 1 FROM generation AS g WHERE g.topic_id = t.id)
LIMIT :limit

-- name: batches
-- Of their own accord, or in a topic or project that goes; only empty ones.
SELECT b.* FROM batch AS b WHERE b.seq IN (
    SELECT * FROM (
        SELECT seq FROM batch AS x INDEXED BY batch_trash
        WHERE deleted_at IS NOT NULL AND deleted_at < :before
          AND (:owner IS NULL OR owner = :owner)
          AND NOT EXISTS (SELECT 1 FROM generation AS g WHERE g.batch_id = x.id)
        LIMIT :limit
    )
    UNION
    SELECT * FROM (
        SELECT x.seq FROM topic AS t
        CROSS JOIN project AS p ON p.id = t.project_id
        CROSS JOIN batch AS x INDEXED BY batch_topic ON x.topic_id = t.id
        WHERE (
            (t.deleted_at < :before AND (:owner IS NULL OR t.owner = :owner))
            OR (p.deleted_at < :before AND (:owner IS NULL OR p.owner = :owner))
        ) AND NOT EXISTS (SELECT 1 FROM generation AS g WHERE g.batch_id = x.id)
        LIMIT :limit
    )
    LIMIT :limit
)

-- name: topics
SELECT t.* FROM topic AS t
CROSS JOIN project AS p ON p.id = t.project_id
WHERE (
    (t.deleted_at < :before AND (:owner IS NULL OR t.owner = :owner))
    OR (p.deleted_at < :before AND (:owner IS NULL OR p.owner = :owner))
) AND NOT EXISTS (SELECT 1 FROM batch AS b WHERE b.topic_id = t.id)
LIMIT :limit

-- name: projects
SELECT p.* FROM project AS p
WHERE p.deleted_at < :before AND (:owner IS NULL OR p.owner = :owner)
  AND NOT EXISTS (SELECT 1 FROM topic AS t WHERE t.project_id = p.id)
LIMIT :limit

-- name: assets_of_generations
SELECT asset_id FROM generation
WHERE id IN (SELECT value FROM json_each(:ids)) AND asset_id IS NOT NULL
UNION
SELECT asset_id FROM input WHERE generation_id IN (SELECT value FROM json_each(:ids))

-- name: assets_of_folders
SELECT e.asset_id FROM folder AS f JOIN folder_entry AS e ON e.folder_id = f.id
WHERE f.topic_id IN (SELECT value FROM json_each(?)) AND e.asset_id IS NOT NULL

-- name: messages_about
SELECT id FROM message
WHERE generation_id IN (SELECT value FROM json_each(?)) AND generation_id IS NOT NULL

-- name: messages_about_batches
SELECT id FROM message
WHERE batch_id IN (SELECT value FROM json_each(?)) AND batch_id IS NOT NULL

-- name: attempts_of_empty_jobs
DELETE FROM attempt WHERE job_id IN (
    SELECT value FROM json_each(?) AS j
    WHERE NOT EXISTS (SELECT 1 FROM generation AS g WHERE g.job_id = j.value)
)

-- name: empty_jobs
DELETE FROM job WHERE id IN (SELECT value FROM json_each(?))
  AND NOT EXISTS (SELECT 1 FROM generation AS g WHERE g.job_id = job.id)

-- name: unneeded_assets
-- Covers are pictures, so the first line speaks for them.
SELECT a.id, a.rev FROM json_each(?) AS wanted CROSS JOIN asset AS a ON a.id = wanted.value
WHERE NOT EXISTS (SELECT 1 FROM generation WHERE asset_id = a.id)
  AND NOT EXISTS (SELECT 1 FROM input WHERE asset_id = a.id)
  AND NOT EXISTS (SELECT 1 FROM message WHERE asset_id = a.id)
  AND NOT EXISTS (SELECT 1 FROM folder_entry WHERE asset_id = a.id)
  AND NOT EXISTS (SELECT 1 FROM collection_item WHERE asset_id = a.id)
