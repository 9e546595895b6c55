-- name: images_of_generation
SELECT count(*) FROM generation AS g JOIN batch AS b ON b.id = g.batch_id
WHERE g.id = ? AND g.status = 'completed' AND b.deleted_at IS NULL

-- name: images_of_batch
SELECT count(*) FROM (
    SELECT status, max(seq) FROM generation INDEXED BY generation_batch
    WHERE batch_id = ? AND deleted_at IS NULL
    GROUP BY idx
) WHERE status = 'completed'

-- name: images_of_topic
SELECT images FROM topic WHERE id = ?

-- name: images_of_project
SELECT coalesce(sum(images), 0) FROM topic INDEXED BY topic_project
WHERE project_id = ? AND deleted_at IS NULL

-- name: open_of_generation
SELECT id FROM generation
WHERE id = ? AND status IN ('pending', 'queued', 'processing')

-- name: open_of_batch
SELECT id FROM generation INDEXED BY generation_batch
WHERE batch_id = ? AND status IN ('pending', 'queued', 'processing') ORDER BY seq

-- name: open_of_topic
SELECT id FROM generation INDEXED BY generation_status
WHERE status IN ('pending', 'queued', 'processing') AND topic_id = ? ORDER BY seq

-- name: open_of_project
SELECT g.id
FROM generation AS g INDEXED BY generation_status
CROSS JOIN topic AS t ON t.id = g.topic_id
WHERE g.status IN ('pending', 'queued', 'processing') AND t.project_id = ? ORDER BY g.seq

-- name: live_of_batch
SELECT EXISTS (SELECT 1 FROM generation WHERE batch_id = ? AND deleted_at IS NULL)

-- name: live_before
SELECT earlier.id
FROM generation AS g
CROSS JOIN generation AS earlier INDEXED BY generation_batch ON earlier.batch_id = g.batch_id
WHERE g.id = ? AND earlier.idx = g.idx AND earlier.seq < g.seq AND earlier.deleted_at IS NULL
  AND earlier.status IN ('failed', 'cancelled')
ORDER BY earlier.seq

-- name: went_before
SELECT earlier.id
FROM generation AS g
CROSS JOIN generation AS earlier INDEXED BY generation_batch ON earlier.batch_id = g.batch_id
WHERE g.id = ? AND earlier.idx = g.idx AND earlier.seq < g.seq
  AND earlier.deleted_at = g.deleted_at
ORDER BY earlier.seq

-- name: went_with_batch
SELECT id FROM generation WHERE batch_id = ? AND deleted_at = ? ORDER BY seq

-- name: items
-- A picture whose batch went with it is listed as the batch, and an attempt as what replaced it.
SELECT 'generation' AS entity, g.id, b.prompt AS title, (g.status = 'completed') AS images,
       g.deleted_at, g.deleted_by, g.seq, t.title AS topic_title, g.id AS picture_id
FROM generation AS g INDEXED BY generation_trash
CROSS JOIN batch AS b ON b.id = g.batch_id
CROSS JOIN topic AS t ON t.id = g.topic_id
CROSS JOIN project AS p ON p.id = t.project_id
WHERE g.deleted_at IS NOT NULL AND (:all OR g.owner = :user)
  AND b.deleted_at IS NULL AND t.deleted_at IS NULL AND p.deleted_at IS NULL
  AND NOT EXISTS (
      SELECT 1 FROM generation AS later INDEXED BY generation_batch
      WHERE later.batch_id = g.batch_id AND later.idx = g.idx AND later.seq > g.seq
        AND later.deleted_at = g.deleted_at)
UNION ALL
SELECT 'batch', b.id, b.prompt,
       (SELECT count(*) FROM generation AS g
        WHERE g.batch_id = b.id AND g.status = 'completed'
          AND (g.deleted_at IS NULL OR g.deleted_at = b.deleted_at)),
       b.deleted_at, b.deleted_by, b.seq, t.title,
       (SELECT g.id FROM generation AS g INDEXED BY generation_batch
        WHERE g.batch_id = b.id AND g.status = 'completed'
          AND (g.deleted_at IS NULL OR g.deleted_at = b.deleted_at)
        ORDER BY g.idx, g.seq LIMIT 1)
FROM batch AS b INDEXED BY batch_trash
CROSS JOIN topic AS t ON t.id = b.topic_id
CROSS JOIN project AS p ON p.id = t.project_id
WHERE b.deleted_at IS NOT NULL AND (:all OR b.owner = :user)
  AND t.deleted_at IS NULL AND p.deleted_at IS NULL
UNION ALL
SELECT 'topic', t.id, t.title, t.images, t.deleted_at, t.deleted_by, t.seq, '',
       t.cover_generation_id
FROM topic AS t INDEXED BY topic_trash
CROSS JOIN project AS p ON p.id = t.project_id
WHERE t.deleted_at IS NOT NULL AND (:all OR t.owner = :user) AND p.deleted_at IS NULL
UNION ALL
SELECT 'project', p.id, p.title,
       (SELECT coalesce(sum(t.images), 0) FROM topic AS t
        WHERE t.project_id = p.id AND t.deleted_at IS NULL),
       p.deleted_at, p.deleted_by, p.seq, '', NULL
FROM project AS p
WHERE p.deleted_at IS NOT NULL AND (:all OR p.owner = :user)
ORDER BY deleted_at DESC, entity, seq DESC

-- name: pictures
SELECT g.id AS generation_id, a.*
FROM json_each(:ids) AS wanted
CROSS JOIN generation AS g ON g.id = wanted.value
CROSS JOIN batch AS b ON b.id = g.batch_id
CROSS JOIN topic AS t ON t.id = g.topic_id
CROSS JOIN project AS p ON p.id = t.project_id
CROSS JOIN asset AS a ON a.id = g.asset_id
WHERE (:all OR g.owner = :user)
  AND coalesce(g.deleted_at, b.deleted_at, t.deleted_at, p.deleted_at) IS NOT NULL

-- name: has_generations
SELECT EXISTS (SELECT 1 FROM generation WHERE batch_id = ?)

-- name: empty_batches_of_topic
SELECT b.* FROM batch AS b INDEXED BY batch_topic
WHERE b.topic_id = ? AND NOT EXISTS (SELECT 1 FROM generation AS g WHERE g.batch_id = b.id)

-- name: empty_batches_of_project
SELECT b.* FROM topic AS t INDEXED BY topic_project
CROSS JOIN batch AS b INDEXED BY batch_topic ON b.topic_id = t.id
WHERE t.project_id = ? AND NOT EXISTS (SELECT 1 FROM generation AS g WHERE g.batch_id = b.id)
