"""The view `action_items`: every action of every note, open until an entry says that it is done or dropped.

Which words name a task, and which say that one is done, is the note's to read (notes/language/). Here they meet,
because only here all entries lie together. A view, so a file that comes late or is erased changes it by itself and
publishing stays as dear as what is new.

The rule, strict because an action that is wrongly done is forgotten: one person's; the same verb and the same thing
(the last stem of the object); at least 60 % of the action's stems, and of the object that was done; said later, by the
day an entry tells of, then by the clock; done no earlier than the action was spoken of, and within 90 days. What both
tell beside the object must meet. The earliest such words win. A recording whose time is only a guess settles nothing
but its own.
"""

SHARED = 0.6
"""Of the content stems: "send the photos from Porto" is not done by "sent the photos from Rome"."""
WITHIN_DAYS = 90
"""Later, "I paid the rent" is another rent."""

ACTION_ITEMS = f"""
CREATE VIEW action_items AS
WITH spoken AS (
    SELECT n.recording_key, n.note_date, r.recorded_at, coalesce(r.recorded_at_source = 'file_time', false) AS guessed
    FROM notes n JOIN recordings r USING (recording_key)
), asked AS (
    SELECT i.*, s.* EXCLUDE (recording_key), list_concat(i.task_object, i.task_about) AS stems
    FROM note_items i JOIN spoken s USING (recording_key)
    WHERE i.kind = 'action'
), told AS (
    SELECT c.*, s.* EXCLUDE (recording_key), unnest(c.verbs) AS verb, c.object[-1] AS thing
    FROM completions c JOIN spoken s USING (recording_key)
), settled AS (
    SELECT a.recording_key, a.item_id, t.outcome, t.done_date, t.recording_key AS done_recording_key,
        t.segment_id AS done_segment_id, t.start_s AS done_start_s, t.end_s AS done_end_s, t.quote AS done_quote
    FROM asked a JOIN told t
        ON t.user_id = a.user_id AND t.thing = a.task_object[-1] AND t.verb = a.task_verb
    WHERE (t.note_date, t.recorded_at, t.recording_key, t.start_s)
            > (a.note_date, a.recorded_at, a.recording_key, a.start_s)
        AND t.done_date BETWEEN a.note_date AND a.note_date + {WITHIN_DAYS}
        AND (t.recording_key = a.recording_key OR NOT (t.guessed OR a.guessed))
        AND len(list_intersect(list_concat(t.object, t.about), a.stems)) >= {SHARED} * len(list_distinct(a.stems))
        AND len(list_intersect(t.object, a.stems)) >= {SHARED} * len(t.object)
        AND (len(t.about) = 0 OR len(a.task_about) = 0 OR list_has_any(t.about, a.task_about))
    QUALIFY row_number() OVER (
        PARTITION BY a.recording_key, a.item_id
        ORDER BY t.note_date, t.recorded_at, t.recording_key, t.start_s, t.completion_id
    ) = 1
)
SELECT a.recording_key, a.user_id, a.item_id, a.text, a.note_date, a.due_date, a.segment_id, a.start_s, a.end_s,
    a.quote, coalesce(s.outcome, 'open') AS status, s.done_date, s.done_recording_key, s.done_segment_id,
    s.done_start_s, s.done_end_s, s.done_quote
FROM asked a LEFT JOIN settled s USING (recording_key, item_id)
"""  # noqa: S608 - numbers of this file
"""`status` is open, done or dropped; the `done_` columns tell where that was said."""
