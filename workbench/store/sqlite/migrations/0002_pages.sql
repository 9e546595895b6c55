-- What the pages of the interface ask at every change: how many pictures a topic has (kept, so that
-- a topic of 100,000 costs nothing to count), and one's own requests in their order.

ALTER TABLE topic ADD COLUMN images INTEGER NOT NULL DEFAULT 0;

-- The latest live generation of each index of a live batch counts, if it is completed.
UPDATE topic SET images = (
    SELECT count(*) FROM generation AS g JOIN batch AS b ON b.id = g.batch_id
    WHERE g.topic_id = topic.id AND g.status = 'completed'
      AND g.deleted_at IS NULL AND b.deleted_at IS NULL
      AND NOT EXISTS (
          SELECT 1 FROM generation AS later
          WHERE later.batch_id = g.batch_id AND later.idx = g.idx AND later.seq > g.seq
            AND later.deleted_at IS NULL
      )
);

CREATE INDEX batch_owner ON batch (owner, seq);

-- Triggers, and not code beside each write: whatever changes a generation or a batch, now or later,
-- keeps the number true. Each adds what the index shows now and takes off what it showed before.
-- A generation matters only while none later of its index is live; if it does not show a picture,
-- the latest of the others does or does not.
CREATE TRIGGER topic_images_insert AFTER INSERT ON generation BEGIN
    UPDATE topic SET images = images + (
        SELECT (new.deleted_at IS NULL) * ((new.status = 'completed') - coalesce((
            SELECT o.status = 'completed' FROM generation AS o
            WHERE o.batch_id = new.batch_id AND o.idx = new.idx AND o.seq <> new.seq
              AND o.deleted_at IS NULL
            ORDER BY o.seq DESC LIMIT 1
        ), 0))
    )
    WHERE id = new.topic_id
      AND EXISTS (SELECT 1 FROM batch WHERE id = new.batch_id AND deleted_at IS NULL)
      AND NOT EXISTS (
          SELECT 1 FROM generation AS l
          WHERE l.batch_id = new.batch_id AND l.idx = new.idx AND l.seq > new.seq
            AND l.deleted_at IS NULL
      );
END;

CREATE TRIGGER topic_images_update AFTER UPDATE OF status, deleted_at ON generation
WHEN (old.status = 'completed') <> (new.status = 'completed')
  OR (old.deleted_at IS NULL) <> (new.deleted_at IS NULL)
BEGIN
    UPDATE topic SET images = images + (
        SELECT iif(new.deleted_at IS NULL, new.status = 'completed', rest)
             - iif(old.deleted_at IS NULL, old.status = 'completed', rest)
        FROM (
            SELECT coalesce((
                SELECT o.status = 'completed' FROM generation AS o
                WHERE o.batch_id = new.batch_id AND o.idx = new.idx AND o.seq <> new.seq
                  AND o.deleted_at IS NULL
                ORDER BY o.seq DESC LIMIT 1
            ), 0) AS rest
        )
    )
    WHERE id = new.topic_id
      AND EXISTS (SELECT 1 FROM batch WHERE id = new.batch_id AND deleted_at IS NULL)
      AND NOT EXISTS (
          SELECT 1 FROM generation AS l
          WHERE l.batch_id = new.batch_id AND l.idx = new.idx AND l.seq > new.seq
            AND l.deleted_at IS NULL
      );
END;

CREATE TRIGGER topic_images_delete AFTER DELETE ON generation WHEN old.deleted_at IS NULL BEGIN
    UPDATE topic SET images = images + (
        SELECT coalesce((
            SELECT o.status = 'completed' FROM generation AS o
            WHERE o.batch_id = old.batch_id AND o.idx = old.idx AND o.deleted_at IS NULL
            ORDER BY o.seq DESC LIMIT 1
        ), 0) - (old.status = 'completed')
    )
    WHERE id = old.topic_id
      AND EXISTS (SELECT 1 FROM batch WHERE id = old.batch_id AND deleted_at IS NULL)
      AND NOT EXISTS (
          SELECT 1 FROM generation AS l
          WHERE l.batch_id = old.batch_id AND l.idx = old.idx AND l.seq > old.seq
            AND l.deleted_at IS NULL
      );
END;

CREATE TRIGGER topic_images_batch AFTER UPDATE OF deleted_at ON batch
WHEN (old.deleted_at IS NULL) <> (new.deleted_at IS NULL)
BEGIN
    UPDATE topic SET images = images + (iif(new.deleted_at IS NULL, 1, -1) * (
        SELECT count(*) FROM (
            SELECT status, max(seq) FROM generation
            WHERE batch_id = new.id AND deleted_at IS NULL
            GROUP BY idx
        ) WHERE status = 'completed'
    ))
    WHERE id = new.topic_id;
END;
