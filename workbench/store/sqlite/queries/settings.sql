-- name: set_preference
INSERT INTO preference (owner, key, value, updated_at) VALUES (?, ?, ?, ?)
ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at

-- name: register_runner
INSERT INTO runner (id, pid, host, title, runs_jobs, started_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE
SET pid = excluded.pid, host = excluded.host, title = excluded.title,
    runs_jobs = excluded.runs_jobs, started_at = excluded.started_at

-- name: foreign_runners
SELECT DISTINCT runner_id FROM job INDEXED BY job_running
WHERE state = 'running' AND runner_id <> ?
