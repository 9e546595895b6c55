-- What visitors made and wait for, counted at each of their requests. Only their rows are in it: for
-- everybody else a write costs what it did.
CREATE INDEX generation_visitor ON generation (status, owner, created_at)
WHERE substr(owner, 1, 8) = 'visitor-';
