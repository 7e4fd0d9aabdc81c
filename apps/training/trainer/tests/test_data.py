"""Rows and pairs as tokens, and the order of their batches."""

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.tuner.trainer import default_loss

from apps.training.trainer.batches import Course, TokenRows, as_batch, spread
from apps.training.trainer.config import parse_config
from apps.training.trainer.data import read_split
from apps.training.trainer.errors import BadData
from apps.training.trainer.objectives import score_rows
from apps.training.trainer.tests.runs import pairs, rows, write_rows


@pytest.fixture
def read(loaded, tmp_path):
    """The split that given rows make."""

    def make(given, *, of_pairs=False, **settings):
        path = tmp_path / "train.jsonl"
        write_rows(path, given)
        config = parse_config({"model": "", "data": "", "max_seq_length": 256} | settings)
        return read_split(path, loaded.tokenizer, config, pairs=of_pairs)

    return make


def text_of(row, loaded):
    return loaded.tokenizer.decode(row.tokens.tolist())


def answer_of(row, loaded):
    return loaded.tokenizer.decode(row.tokens[row.offset :].tolist())


class TestRows:
    def test_have_the_mask_of_mlx_lm_but_for_the_padding_behind_a_row(self, loaded, read):
        batch = as_batch(read(rows(3), mask_prompt=True).batches(3)[0], 256)
        ours = score_rows(loaded.model, batch.inputs).tokens
        _, theirs = default_loss(loaded.model, batch.inputs.tokens, batch.inputs.spans)
        assert int(ours) == sum(row.learnt for row in batch.items)
        assert int(theirs) == int(ours) + len(batch.items)

    def test_have_the_mean_loss_of_the_learnt_tokens(self, loaded, read):
        (row,) = read(rows(1), mask_prompt=True).items
        batch = as_batch((row,), 256)
        logits = loaded.model(mx.array(row.tokens)[None])[0]
        chosen = np.array(logits - mx.logsumexp(logits, axis=-1, keepdims=True))
        places = range(row.offset, len(row.tokens))
        expected = -np.mean([chosen[at - 1, row.tokens[at]] for at in places])
        scores = score_rows(loaded.model, batch.inputs)
        loss = float(scores.losses.sum() / batch.inputs.weight)
        assert loss == pytest.approx(expected, rel=1e-5)

    def test_are_all_in_every_epoch_in_an_order_of_its_own(self, read):
        split = read(rows(20))
        course = Course(split, 2, seed=1).from_step(0)
        first, second = ([next(course) for _ in range(10)] for _ in range(2))
        assert first != second
        assert sorted(map(indexes, first)) == sorted(map(indexes, second))
        later = Course(split, 2, seed=1).from_step(13)
        assert next(later) == second[3]

    def test_that_a_short_run_uses_are_those_of_its_steps(self, read):
        course = Course(read(rows(20)), 2, seed=1)
        steps = course.from_step(0)
        assert course.used(3) == [next(steps) for _ in range(3)]
        assert len(course.used(1000)) == 10

    def test_are_shared_by_the_ranks_of_a_run(self, read):
        (items,) = read(rows(5)).batches(5)
        shares = [as_batch(items, 256, rank=rank, ranks=2) for rank in range(2)]
        assert [indexes(share.items) for share in shares] == [
            indexes(items[0::2]),
            indexes(items[1::2]),
        ]
        learnt = sum(row.learnt for row in items)
        assert all(float(share.inputs.weight) == learnt / 2 for share in shares)

    def test_that_do_not_go_round_leave_a_rank_what_weighs_nothing(self, loaded, read):
        (items,) = read(rows(1)).batches(4)
        scores = score_rows(loaded.model, as_batch(items, 256, rank=1, ranks=2).inputs)
        assert (float(scores.losses.sum()), int(scores.tokens)) == (0.0, 0)

    def test_of_validation_are_spread_over_all_lengths(self):
        assert spread(list(range(10)), 3) == [0, 3, 6]
        assert spread(list(range(10)), -1) == list(range(10))
        assert spread([], 3) == []

    def test_of_a_missing_file_are_none(self, loaded, tmp_path):
        config = parse_config({"model": "", "data": ""})
        split = read_split(tmp_path / "no", loaded.tokenizer, config, pairs=False)
        assert isinstance(split, TokenRows)
        assert len(split) == 0


ASKED = "<|user|>Why?<|end|><|assistant|>"
PAIR = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}
TURN = {"role": "user", "content": "Why?"}


def said(text):
    return {"role": "assistant", "content": text}


class TestPairs:
    @pytest.mark.parametrize(
        "record",
        [
            PAIR,
            PAIR | {"prompt": [TURN]},
            {"prompt": [TURN], "chosen": said("So."), "rejected": [said("No.")]},
            {"chosen": [TURN, said("So.")], "rejected": [TURN, said("No.")]},
        ],
    )
    def test_of_any_shape_are_two_answers_to_one_prompt(self, loaded, read, record):
        (pair,) = read([record], of_pairs=True).items
        assert text_of(pair.chosen, loaded) == f"{ASKED}So.<|end|>"
        assert answer_of(pair.chosen, loaded) == "So.<|end|>"
        assert answer_of(pair.rejected, loaded) == "No.<|end|>"

    def test_without_a_prompt_are_texts(self, loaded, read):
        (pair,) = read([{"chosen": "So.", "rejected": "No."}], of_pairs=True).items
        assert text_of(pair.chosen, loaded) == "So.<|end|>"
        assert pair.chosen.offset == 0

    def test_keep_the_whole_answer_where_a_template_opens_a_thought(
        self, loaded, read, monkeypatch
    ):
        template = loaded.tokenizer.chat_template.replace(
            "<|assistant|>{% endif %}", "<|assistant|>Hm! {% endif %}"
        )
        monkeypatch.setattr(loaded.tokenizer._tokenizer, "chat_template", template)
        (pair,) = read([PAIR], of_pairs=True).items
        assert answer_of(pair.chosen, loaded) == "So.<|end|>"

    def test_come_with_the_chosen_rows_first(self, read):
        (items,) = read(pairs(3), of_pairs=True).batches(3)
        inputs = as_batch(items, 256).inputs
        expected = [len(item.chosen.tokens) for item in items]
        expected += [len(item.rejected.tokens) for item in items]
        assert inputs.spans[:, 1].tolist() == expected
        assert float(inputs.weight) == 3

    def test_whose_answer_is_cut_off_are_left_out(self, read):
        long = PAIR | {"prompt": "Why? " * 30}
        split = read([PAIR, long], of_pairs=True, max_seq_length=64)
        assert (len(split), split.dropped, split.truncated) == (1, 1, 1)

    @pytest.mark.parametrize(
        ("record", "of_pairs", "says"),
        [
            (PAIR, False, "objective dpo or orpo"),
            (rows(1)[0], True, "no pairs"),
            (PAIR | {"chosen": ""}, True, "Line 1 of train.jsonl"),
            (PAIR | {"chosen": 3}, True, "Line 1 of train.jsonl"),
            ({"chosen": [said("x")], "rejected": [said("x")]}, True, "not the same one"),
        ],
    )
    def test_are_not_taken_for_anything_else(self, read, record, of_pairs, says):
        with pytest.raises(BadData, match=says):
            read([record], of_pairs=of_pairs)


def indexes(items):
    return tuple(item.index for item in items)
