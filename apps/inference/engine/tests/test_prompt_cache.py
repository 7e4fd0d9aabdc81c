"""The prompt cache in memory: what is reused, and what goes."""

from apps.inference.engine.prompt_cache.cache import MIN_REUSE
from apps.inference.engine.tests.cached import SYSTEM, TOKEN_BYTES, assert_right, remember


def test_the_longest_common_beginning_is_reused(open_cache):
    cache = open_cache()
    remember(cache, (*SYSTEM, 1, 2, 3))
    asked = (*SYSTEM, 1, 2, 9, 9)
    hit = cache.lookup("n", asked)
    assert hit.tokens == len(SYSTEM) + 2
    assert_right(hit, asked)


def test_an_exact_repeat_leaves_one_token_to_compute(open_cache):
    cache = open_cache()
    remember(cache, SYSTEM)
    assert cache.lookup("n", SYSTEM).tokens == len(SYSTEM) - 1


def test_a_match_of_a_few_tokens_is_no_hit(open_cache):
    cache = open_cache()
    remember(cache, SYSTEM)
    asked = (*SYSTEM[: MIN_REUSE - 1], 1, 2, 3)
    assert cache.lookup("n", asked).tokens == 0
    assert cache.stats().total_misses == 1


def test_namespaces_share_nothing(open_cache):
    cache = open_cache()
    remember(cache, SYSTEM, namespace="one")
    assert cache.lookup("other", (*SYSTEM, 1)).tokens == 0


def test_conversations_over_one_system_prompt_hold_it_once(open_cache):
    cache = open_cache(max_entries=60)
    for user in range(50):
        remember(cache, (*SYSTEM, 200 + user, 300 + user), system=len(SYSTEM))
    assert cache.stats().memory_bytes == (len(SYSTEM) + 50 * 2) * TOKEN_BYTES


def test_a_conversation_that_goes_on_keeps_one_entry(open_cache):
    cache = open_cache()
    for turns in range(1, 5):
        remember(cache, (*SYSTEM, *range(turns * 3)), system=len(SYSTEM))
    kinds = [entry.kind for entry in cache.entries()]
    assert sorted(kinds) == ["conversation", "system"]


def test_the_least_recently_used_entry_goes_first(open_cache):
    cache = open_cache(max_entries=2, max_disk_bytes=0)
    one, two, three = ((n, *range(20)) for n in (1, 2, 3))
    remember(cache, one)
    remember(cache, two)
    cache.lookup("n", (*one, 99))
    remember(cache, three)
    assert cache.lookup("n", (*two, 99)).tokens == 0
    assert cache.lookup("n", (*one, 99)).tokens == len(one)


def test_a_pinned_entry_outlives_younger_ones(open_cache):
    cache = open_cache(max_entries=2, max_disk_bytes=0)
    remember(cache, (1, *range(20)), pinned=True)
    for n in range(2, 6):
        remember(cache, (n, *range(20)))
    assert cache.lookup("n", (1, *range(20), 99)).tokens == 21


def test_the_byte_budget_holds(open_cache):
    cache = open_cache(max_memory_bytes=50 * TOKEN_BYTES, max_disk_bytes=0)
    for n in range(6):
        remember(cache, (n, *range(20)))
        assert cache.stats().memory_bytes <= 50 * TOKEN_BYTES
    assert cache.stats().evictions > 0
