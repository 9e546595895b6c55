-- name: insert
INSERT INTO log (at, level, kind, entity, entity_id, text, data, owner)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: newest
SELECT * FROM log
WHERE (:all OR owner IS NULL OR owner = :user) AND (:kind IS NULL OR kind = :kind)
ORDER BY seq DESC LIMIT :limit
