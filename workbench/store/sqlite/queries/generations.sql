-- name: select
-- A generation with what it takes from its batch and topic. Callers add WHERE and ORDER BY.
-- rows.generation_record reads the columns by position, up to rev.
-- Of an import, prompt_sent is the text of the one image, where the batch has several texts.
-- deleted_at is the first of its own, its batch's, topic's and project's: hidden is hidden.
SELECT g.seq, g.id, g.batch_id, g.topic_id, g.job_id, g.idx, g.operation, g.source, g.status,
       g.detail_key, g.detail_args, g.progress, g.step, g.total_steps, g.attempt, g.preview,
       iif(g.operation = 'import', coalesce(g.prompt_sent, b.prompt), b.prompt) AS prompt,
       iif(g.operation = 'import', NULL, g.prompt_sent) AS prompt_sent, b.negative_prompt,
       g.provider, g.model, g.width, g.height, g.seed,
       coalesce(g.params, b.params) AS params, g.asset_id,
       g.error_key, g.error_kind, g.error_args, g.charged, g.cost_micro, g.unit, g.rate_version,
       g.retry_of, g.cached_from, b.provenance, g.owner, g.team, t.visibility,
       g.created_at, g.started_at, g.finished_at,
       coalesce(g.deleted_at, b.deleted_at, t.deleted_at, p.deleted_at) AS deleted_at, g.rev,
       g.reserved_micro, g.deleted_at AS own_deleted_at, b.deleted_at AS batch_deleted_at
FROM generation AS g
CROSS JOIN batch AS b ON b.id = g.batch_id
CROSS JOIN topic AS t ON t.id = g.topic_id
CROSS JOIN project AS p ON p.id = t.project_id
