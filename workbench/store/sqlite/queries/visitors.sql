-- How much visitors made and wait for. The first condition is that of the index, word by word, or
-- SQLite does not see that it fits. A paid call without a known end waits for a person, and for as
-- long as that takes: it is not on its way.

-- name: made
-- Pictures of one visitor from a time on, those on their way included.
SELECT count(*) FROM generation INDEXED BY generation_visitor
WHERE substr(owner, 1, 8) = 'visitor-'
  AND status IN ('pending', 'queued', 'processing', 'completed')
  AND owner = :user AND created_at >= :since AND operation <> 'import';

-- name: unfinished
SELECT count(*) FROM generation INDEXED BY generation_visitor
WHERE substr(owner, 1, 8) = 'visitor-'
  AND status IN ('pending', 'queued', 'processing')
  AND owner = :user AND detail_key IS NOT 'outcome_unknown';

-- name: queue
SELECT count(*) FROM generation INDEXED BY generation_visitor
WHERE substr(owner, 1, 8) = 'visitor-'
  AND status IN ('pending', 'queued', 'processing')
  AND detail_key IS NOT 'outcome_unknown';
