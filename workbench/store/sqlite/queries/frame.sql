-- name: rows
-- The title of a project that is not shared is not shown with a topic that is.
SELECT g.seq, g.id, g.batch_id, g.topic_id, t.title AS topic,
       CASE WHEN :all OR p.owner = :user OR p.visibility = 'workspace'
                 OR (p.visibility = 'team' AND p.team = :team)
            THEN p.title END AS project,
       g.idx, g.operation, g.status, g.detail_key, g.detail_args,
       iif(g.operation = 'import', coalesce(g.prompt_sent, b.prompt), b.prompt) AS prompt,
       iif(g.operation = 'import', NULL, g.prompt_sent) AS prompt_sent, b.negative_prompt,
       g.provider, g.model, g.width, g.height, g.seed, g.cost_micro, g.unit,
       g.created_at, g.started_at, g.finished_at, j.rating, j.favourite, j.tags, j.note,
       g.cached_from, g.retry_of, g.error_kind, g.error_key, g.error_args,
       g.asset_id, a.mime, a.size_bytes, coalesce(g.params, b.params) AS params
FROM json_each(:seqs) AS wanted
CROSS JOIN generation AS g ON g.seq = wanted.value
CROSS JOIN batch AS b ON b.id = g.batch_id
CROSS JOIN topic AS t ON t.id = g.topic_id
CROSS JOIN project AS p ON p.id = t.project_id
LEFT JOIN asset AS a ON a.id = g.asset_id
LEFT JOIN judgement AS j ON j.generation_id = g.id AND j.owner = :user
