-- name: insert
INSERT INTO change (entity, entity_id, kind, rev, data, omitted, topic_id, owner, team, visibility, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: feed_id
SELECT value FROM meta WHERE key = 'feed_id'

-- name: set_meta
INSERT INTO meta (key, value) VALUES (?, ?)
ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- name: last_seq
-- sqlite_sequence also remembers rows that were pruned.
SELECT seq FROM sqlite_sequence WHERE name = 'change'

-- name: state
SELECT (SELECT value FROM meta WHERE key = 'feed_id') AS feed_id,
       coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'change'), 0) AS newest,
       coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'feed_floor'), 0) AS floor

-- name: page
-- No row after :end is looked at; what was written while shared may still be private now.
SELECT c.seq, c.entity, c.entity_id, c.kind, c.rev, c.data, c.omitted, c.topic_id, c.owner, c.at
FROM change AS c
WHERE c.seq > :since AND c.seq <= :end
  AND (
    :all
    OR c.owner = :user
    OR (
        (c.visibility = 'workspace' OR (c.visibility = 'team' AND c.team = :team))
        AND (
            c.topic_id IS NULL OR c.entity = 'topic' OR c.kind = 'delete'
            OR EXISTS (
                SELECT 1 FROM topic AS t
                WHERE t.id = c.topic_id
                  AND (t.visibility = 'workspace' OR (t.visibility = 'team' AND t.team = :team))
            )
        )
    )
  )
ORDER BY c.seq
LIMIT :limit

-- name: prune_end
-- The last of the oldest rows that go: each is before the last `keep_rows` or older than `since`.
SELECT max(seq) FROM (
    SELECT seq, at FROM change ORDER BY seq LIMIT :rows
) WHERE seq <= :first_kept OR (
    at < :since AND seq < coalesce(
        (SELECT min(seq) FROM (SELECT seq, at FROM change ORDER BY seq LIMIT :rows) WHERE at >= :since),
        9223372036854775807
    )
)
