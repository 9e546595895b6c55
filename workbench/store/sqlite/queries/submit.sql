-- name: insert_input
INSERT INTO input (generation_id, asset_id, role, position) VALUES (?, ?, ?, ?)

-- name: insert_asset
INSERT INTO asset (id, kind, mime, width, height, size_bytes, frames, duration_ms, source, created_at)
VALUES (:id, :kind, :mime, :width, :height, :size_bytes, :frames, :duration_ms, :source, :created_at)
ON CONFLICT (id) DO NOTHING
RETURNING seq
