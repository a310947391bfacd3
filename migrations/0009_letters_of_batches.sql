-- A message may be held by a letter in more than one batch: in one that a letter named before the message was taken in
-- another, and in that other one, where it was parked and became a letter too.
ALTER TABLE batch_letters
    DROP CONSTRAINT batch_letters_pkey,
    ADD CONSTRAINT batch_letters_pkey PRIMARY KEY (source, message_id, batch_id);
