-- name: project
SELECT *, deleted_at AS hidden_at FROM project WHERE id = ?

-- name: topic
SELECT t.*, coalesce(t.deleted_at, p.deleted_at) AS hidden_at
FROM topic AS t JOIN project AS p ON p.id = t.project_id
WHERE t.id = ?

-- name: batch
SELECT b.*, t.visibility, coalesce(b.deleted_at, t.deleted_at, p.deleted_at) AS hidden_at
FROM batch AS b
JOIN topic AS t ON t.id = b.topic_id
JOIN project AS p ON p.id = t.project_id
WHERE b.id = ?

-- name: generation
SELECT g.*, t.visibility,
       coalesce(g.deleted_at, b.deleted_at, t.deleted_at, p.deleted_at) AS hidden_at
FROM generation AS g
JOIN batch AS b ON b.id = g.batch_id
JOIN topic AS t ON t.id = g.topic_id
JOIN project AS p ON p.id = t.project_id
WHERE g.id = ?
