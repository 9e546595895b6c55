-- name: page
SELECT * FROM message INDEXED BY message_topic
WHERE topic_id = ? AND seq < ? AND deleted_at IS NULL
ORDER BY seq DESC LIMIT ?
