-- name: upsert
-- NULL: not set by this call.
INSERT INTO judgement (owner, generation_id, rating, favourite, tags, note, updated_at)
VALUES (:owner, :generation_id, coalesce(:rating, 0), coalesce(:favourite, 0),
        coalesce(:tags, '[]'), coalesce(:note, ''), :now)
ON CONFLICT (generation_id, owner) DO UPDATE
SET rating = coalesce(:rating, rating), favourite = coalesce(:favourite, favourite),
    tags = coalesce(:tags, tags), note = coalesce(:note, note),
    updated_at = :now, rev = rev + 1
RETURNING *

-- name: visible
SELECT g.id, g.owner, g.team, t.visibility
FROM generation AS g JOIN topic AS t ON t.id = g.topic_id
WHERE g.id IN (SELECT value FROM json_each(?))

-- name: of_user
SELECT * FROM judgement
WHERE owner = ? AND generation_id IN (SELECT value FROM json_each(?))
