-- Pages of generations. Each branch walks one index in the order of seq and stops after :limit rows
-- that pass; the branches of a page are merged by seq. In braces, filled in by pages.py from its
-- own constants: {filters}, {compare} (< or >), {order} (DESC or ASC), {status}.
-- A row shows while it and what it lies in are not in the trash; the joins that ask for that do not
-- change the order.

-- name: own
SELECT g.seq
FROM generation AS g INDEXED BY generation_owner
CROSS JOIN batch AS b ON b.id = g.batch_id
CROSS JOIN topic AS t ON t.id = g.topic_id
CROSS JOIN project AS p ON p.id = t.project_id
WHERE g.owner = :user AND g.seq {compare} :seq
  AND g.deleted_at IS NULL AND b.deleted_at IS NULL AND t.deleted_at IS NULL
  AND p.deleted_at IS NULL {filters}
ORDER BY g.seq {order} LIMIT :limit

-- name: own_without_image
-- Failed and cancelled ones have an index of their own: they are few among many. Its condition
-- stands here word by word, or SQLite does not see that the index fits.
SELECT g.seq
FROM generation AS g INDEXED BY generation_without_image
CROSS JOIN batch AS b ON b.id = g.batch_id
CROSS JOIN topic AS t ON t.id = g.topic_id
CROSS JOIN project AS p ON p.id = t.project_id
WHERE g.owner = :user AND g.status IN ('failed', 'cancelled') AND g.status = '{status}'
  AND g.seq {compare} :seq
  AND g.deleted_at IS NULL AND b.deleted_at IS NULL AND t.deleted_at IS NULL
  AND p.deleted_at IS NULL {filters}
ORDER BY g.seq {order} LIMIT :limit

-- name: active
-- What has not ended is little, whoever's it is: own and shared ones in one walk.
SELECT g.seq
FROM generation AS g INDEXED BY generation_status
CROSS JOIN batch AS b ON b.id = g.batch_id
CROSS JOIN topic AS t ON t.id = g.topic_id
CROSS JOIN project AS p ON p.id = t.project_id
WHERE g.status = '{status}' AND g.seq {compare} :seq
  AND (:all OR g.owner = :user OR t.visibility = 'workspace'
       OR (t.visibility = 'team' AND t.team = :team))
  AND g.deleted_at IS NULL AND b.deleted_at IS NULL AND t.deleted_at IS NULL
  AND p.deleted_at IS NULL {filters}
ORDER BY g.seq {order} LIMIT :limit

-- name: everybody
SELECT g.seq
FROM generation AS g
CROSS JOIN batch AS b ON b.id = g.batch_id
CROSS JOIN topic AS t ON t.id = g.topic_id
CROSS JOIN project AS p ON p.id = t.project_id
WHERE g.seq {compare} :seq
  AND g.deleted_at IS NULL AND b.deleted_at IS NULL AND t.deleted_at IS NULL
  AND p.deleted_at IS NULL {filters}
ORDER BY g.seq {order} LIMIT :limit

-- name: topic
-- The caller has checked that the topic is to be seen and live.
SELECT g.seq
FROM generation AS g INDEXED BY generation_topic
CROSS JOIN batch AS b ON b.id = g.batch_id
WHERE g.topic_id = :topic AND g.seq {compare} :seq
  AND g.deleted_at IS NULL AND b.deleted_at IS NULL {filters}
ORDER BY g.seq {order} LIMIT :limit

-- name: shared
-- Topics that others share with the viewer: the next :limit rows of each, by its index.
SELECT g.seq
FROM json_each(:shared) AS s
CROSS JOIN generation AS g ON g.seq IN (
    SELECT x.seq
    FROM generation AS x INDEXED BY generation_topic
    CROSS JOIN batch AS b ON b.id = x.batch_id
    WHERE x.topic_id = s.value AND x.seq {compare} :seq
      AND x.deleted_at IS NULL AND b.deleted_at IS NULL {filters}
    ORDER BY x.seq {order} LIMIT :limit
)

-- name: of_batch
-- The caller has checked the batch. Few rows, so they are sorted.
SELECT g.seq FROM generation AS g INDEXED BY generation_batch
WHERE g.batch_id = :batch AND g.seq {compare} :seq AND g.deleted_at IS NULL {filters}
ORDER BY g.seq {order} LIMIT :limit

-- name: shared_topics
SELECT t.id FROM topic AS t INDEXED BY topic_shared
CROSS JOIN project AS p ON p.id = t.project_id
WHERE t.visibility <> 'private'
  AND t.visibility = 'workspace' AND t.owner <> :user
  AND t.deleted_at IS NULL AND p.deleted_at IS NULL
UNION ALL
SELECT t.id FROM topic AS t INDEXED BY topic_shared
CROSS JOIN project AS p ON p.id = t.project_id
WHERE t.visibility <> 'private'
  AND t.visibility = 'team' AND t.team = :team AND t.owner <> :user
  AND t.deleted_at IS NULL AND p.deleted_at IS NULL

-- name: found_batches
-- Batches whose prompt has the words, in the order of the page (FTS5 walks its lists either way).
SELECT rowid FROM prompt_search
WHERE prompt_search MATCH :match AND rowid {compare} :batch
ORDER BY rowid {order}

-- name: found
-- Their generations, those that the viewer may see.
SELECT b.seq AS batch_seq, g.seq
FROM json_each(:batches) AS found
CROSS JOIN batch AS b ON b.seq = found.value
CROSS JOIN generation AS g INDEXED BY generation_batch ON g.batch_id = b.id
CROSS JOIN topic AS t ON t.id = g.topic_id
CROSS JOIN project AS p ON p.id = t.project_id
WHERE (b.seq <> :batch OR g.seq {compare} :seq)
  AND (:all OR g.owner = :user OR t.visibility = 'workspace'
       OR (t.visibility = 'team' AND t.team = :team))
  AND g.deleted_at IS NULL AND b.deleted_at IS NULL AND t.deleted_at IS NULL
  AND p.deleted_at IS NULL {filters}
ORDER BY b.seq {order}, g.seq {order}
LIMIT :limit

-- name: batches
SELECT * FROM batch INDEXED BY batch_topic
WHERE topic_id = :topic AND seq < :seq AND deleted_at IS NULL
ORDER BY seq DESC LIMIT :limit

-- name: by_seq
-- Behind generations.select.
 WHERE g.seq IN (SELECT value FROM json_each(?))
