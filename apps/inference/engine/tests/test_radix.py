"""The radix tree holds every token of KV once and loses none, whatever is asked of it."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from apps.inference.engine.prompt_cache.radix import RadixTree, StoredSlice

prompts = st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple)


@dataclass(frozen=True)
class FakeSpan:
    """Remembers which tokens it stands for; one byte a token."""

    tokens: tuple[int, ...]

    checkpoint = None

    @property
    def nbytes(self):
        return len(self.tokens)

    def cut(self, start, stop):
        return FakeSpan(self.tokens[start:stop])


def filled(tree, prompt):
    end = tree.grow(prompt)
    for node in end.path():
        if node.span is None:
            tree.set_span(node, FakeSpan(node.tokens))
    return end


@given(st.lists(prompts, max_size=12))
def test_every_prompt_that_went_in_is_found_whole(given_prompts):
    tree = RadixTree()
    for prompt in given_prompts:
        filled(tree, prompt)
    for prompt in given_prompts:
        steps = tree.match(prompt)
        spelled = tuple(t for step in steps for t in step.node.span.tokens[: step.taken])
        assert spelled == prompt


@given(st.lists(prompts, max_size=12))
def test_shared_beginnings_are_held_once(given_prompts):
    tree = RadixTree()
    for prompt in given_prompts:
        filled(tree, prompt)
    prefixes = {prompt[:n] for prompt in given_prompts for n in range(1, len(prompt) + 1)}
    assert tree.memory_bytes == len(prefixes)
    assert tree.memory_bytes == sum(node.span.nbytes for node in tree.nodes())


@given(st.lists(prompts, max_size=12))
def test_siblings_differ_in_their_first_token_and_positions_add_up(given_prompts):
    tree = RadixTree()
    for prompt in given_prompts:
        filled(tree, prompt)
    for node in tree.nodes():
        assert node.parent.children[node.tokens[0]] is node
        assert node.end == len(node.spelled())
        assert node.start == node.parent.end


@given(prompts, st.lists(prompts, max_size=6))
def test_a_split_divides_the_stored_slice_as_it_divides_the_tokens(prompt, others):
    tree = RadixTree()
    tree.set_stored(tree.grow(prompt), StoredSlice("record", 0))
    for other in others:
        tree.grow(other)
    stored = [step.node for step in tree.match(prompt)]
    assert all(node.stored == StoredSlice("record", node.start) for node in stored)
    assert set(tree.readers("record")) == set(stored)


@given(prompts, prompts)
def test_a_match_is_the_longest_common_beginning(held, asked):
    tree = RadixTree()
    filled(tree, held)
    common = 0
    while common < min(len(held), len(asked)) and held[common] == asked[common]:
        common += 1
    assert sum(step.taken for step in tree.match(asked)) == common


@given(st.lists(st.tuples(prompts, st.sampled_from(["fill", "grow", "drop", "remove"]))))
def test_a_node_knows_how_many_of_its_children_hold_kv(steps):
    tree = RadixTree()
    for prompt, step in steps:
        node = filled(tree, prompt) if step == "fill" else tree.grow(prompt)
        if step == "drop":
            tree.set_span(node, None)
        elif step == "remove" and not node.children:
            tree.remove(node)
    for node in (tree.root, *tree.nodes()):
        held = [child for child in node.children.values() if child.span is not None]
        assert node.held_children == len(held)


def test_removing_a_leaf_frees_its_kv_alone():
    tree = RadixTree()
    filled(tree, (1, 2, 3))
    filled(tree, (1, 2, 4))
    tree.remove(tree.grow((1, 2, 3)))
    assert [node.spelled() for node in tree.nodes()] == [(1, 2), (1, 2, 4)]
    assert tree.memory_bytes == 3
