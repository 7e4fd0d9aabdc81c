"""Who may do what: every route of the hub, and the role it takes.

The one place to read, and the one to change. Pages stand by their URL name, API calls by their
address. A route that is missing here is the owner's alone, and
`mlxhub_site/tests/test_access.py` fails.

What the three roles mean is in docs/decisions/0034. In short: a viewer's requests change
nothing; a member does the daily work; what concerns other people, secrets, other servers or
the machine's own files is the owner's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from apps.accounts.roles import Role
from apps.accounts.rules import Rule

ANYBODY = Rule(look=None, act=None)
DAILY = Rule(look=Role.VIEWER, act=Role.MEMBER)
OWN = Rule(look=Role.VIEWER, act=Role.VIEWER)
MANAGED = Rule(look=Role.VIEWER, act=Role.OWNER)
MEMBERS = Rule(look=Role.MEMBER, act=Role.MEMBER)
OWNERS = Rule(look=Role.OWNER, act=Role.OWNER)


def _rules() -> Iterator[tuple[str, Rule]]:
    for rule, names in (*_PAGES, *_CALLS):
        for name in names.split():
            yield name, rule


_PAGES = (
    (ANYBODY, "accounts:setup accounts:sign_in accounts:sign_out accounts:join favicon"),
    (ANYBODY, "admin-sign-in"),
    (OWN, "home accounts:account"),
    (OWNERS, "accounts:users accounts:invite accounts:role accounts:switch accounts:reset"),
    (OWNERS, "audit:home admin:*"),
    (
        DAILY,
        """
        playground:home playground:start playground:conversation playground:send
        playground:settings playground:rename playground:delete playground:message
        playground:events playground:stop playground:regenerate playground:edit
        playground:continue
        playground:show playground:delete-message playground:rate playground:correct
        playground:collect playground:markdown
        compare:home compare:start compare:comparison compare:send compare:stop compare:vote
        compare:retry compare:finished
        """,
    ),
    (
        DAILY,
        """
        models:list models:import models:import_jobs models:import_cancel models:import_upload
        models:import_piece models:jobs models:job models:job_cancel models:job_repeat
        models:job_delete models:disk models:detail models:delete models:delete_adapter
        models:convert models:fuse models:export models:verify
        """,
    ),
    # Files of this machine by their path, and what a model may do and is served as.
    (OWNERS, "models:import_start models:disk_remove_leftover models:disk_remove_logs"),
    (MANAGED, "models:serving models:defaults"),
    (
        DAILY,
        """
        discover:home discover:refresh discover:model discover:refresh_model
        discover:datasets discover:refresh_datasets discover:dataset discover:refresh_dataset
        discover:import_dataset
        downloads:home downloads:active downloads:start downloads:repository downloads:pause
        downloads:resume downloads:cancel downloads:first downloads:forget
        """,
    ),
    (
        DAILY,
        """
        datasets:home datasets:import datasets:import_paste datasets:import_upload
        datasets:import_piece datasets:detail datasets:versions datasets:restore
        datasets:download datasets:archive datasets:delete datasets:jobs datasets:cancel datasets:map
        datasets:change datasets:changes datasets:row datasets:row_delete datasets:tokens datasets:row_tokens
        """,
    ),
    (OWNERS, "datasets:import_start"),
    # What is published leaves the machine, in the owner's name.
    (MANAGED, "publishing:home publishing:cancel publishing:repeat publishing:forget"),
    (
        DAILY,
        """
        inference:states inference:loaded inference:fits inference:load inference:cancel_load
        inference:unload inference:clear_cache
        """,
    ),
    (
        DAILY,
        """
        training:home training:new training:unload training:detail training:learnt
        training:chart training:log training:settings training:stop training:cancel
        training:resume training:retry training:delete training:queue training:move_up
        training:move_down training:withdraw training:sweep training:sweep_pause
        training:sweep_resume training:sweep_cancel training:pause training:keep
        training:arrange
        evaluations:home evaluations:new evaluations:detail evaluations:cancel
        evaluations:resume evaluations:delete training:compare
        evaluations:delete_prompts
        """,
    ),
    (DAILY, "benchmarks:home benchmarks:active benchmarks:compare benchmarks:export"),
    (DAILY, "benchmarks:detail benchmarks:cancel benchmarks:delete"),
    # It keeps the machine busy for minutes, and may call any other server.
    (MANAGED, "benchmarks:start"),
    (OWNERS, "playground:collect_requests usage:home usage:export"),
    (MEMBERS, "keys:home keys:create keys:revoke"),
    (MANAGED, "system:overview system:status system:engine system:cache system:palette"),
    (MANAGED, "system:cache_evict system:cache_pin system:health system:history"),
    # Lines of the log name what others did.
    (OWNERS, "system:logs system:alerts system:alert_rule"),
    (OWNERS, "system:webhook_add system:webhook_test system:webhook_remove"),
    (ANYBODY, "healthz:live healthz:ready"),
)

_CALLS = (
    (
        ANYBODY,
        """
        api/openapi.json api/docs api/ v1/openapi.json v1/docs v1/
        admin/api/openapi.json admin/api/docs
        """,
    ),
    (
        # A question changes nothing; it is a POST for its length.
        OWN,
        "v1/tokenize v1/detokenize v1/messages/count_tokens api/training/preflight",
    ),
    (
        DAILY,
        """
        v1/chat/completions v1/completions v1/embeddings v1/rerank v1/models
        v1/models/<path:model_id> v1/messages v1/responses v1/responses/<response_id>
        v1/responses/<response_id>/input_items
        """,
    ),
    (
        DAILY,
        """
        api/benchmarks/<int:key> api/benchmarks/<int:key>/cancel
        api/models/jobs api/models/jobs/<int:key> api/models/jobs/<int:key>/cancel
        api/models/jobs/<int:key>/repeat api/models/<str:slug>/convert
        api/models/<str:slug>/fuse api/models/<str:slug>/export api/models/<str:slug>/verify
        api/loaded api/models/<str:slug>/load api/models/<str:slug>/unload
        api/models api/disk api/models/<str:slug>/deletion
        api/models/<str:slug>/adapters/<str:adapter_slug>
        api/datasets/<str:slug> api/datasets/<str:slug>/rows
        api/datasets/<str:slug>/statistics api/datasets/<str:slug>/changes
        api/datasets/<str:slug>/rows/<int:number> api/datasets/<str:slug>/rows/<int:number>/tokens
        api/datasets/<str:slug>/versions/<int:number> api/datasets/<str:slug>/jobs
        api/datasets/<str:slug>/versions/<int:number>/changes
        api/datasets/<str:slug>/versions/<int:number>/restore
        api/datasets/<str:slug>/versions/<int:number>/export
        api/uploads api/uploads/<str:token>
        api/conversations api/conversations/rows api/conversations/dataset
        api/conversations/answers/<int:key>/rating
        api/datasets/<str:slug>/jobs/<int:key> api/datasets/<str:slug>/jobs/<int:key>/cancel
        api/dataset-jobs api/dataset-jobs/<int:key> api/dataset-jobs/<int:key>/cancel
        api/downloads api/downloads/<int:key> api/downloads/<int:key>/pause
        api/downloads/<int:key>/resume api/downloads/<int:key>/cancel
        api/downloads/<int:key>/first api/discovery/search api/discovery/models/<owner>/<name>
        api/training/jobs api/training/jobs/<int:key> api/training/jobs/<int:key>/stop
        api/training/jobs/<int:key>/cancel api/training/jobs/<int:key>/resume
        api/training/jobs/<int:key>/retry api/training/jobs/<int:key>/metrics
        api/training/jobs/<int:key>/tail/<what>
        api/models/<str:slug>/adapters/<str:adapter_slug>/deletion
        api/discovery/datasets api/discovery/datasets/<owner>/<name> api/downloads/datasets
        api/evaluations api/evaluations/<int:key> api/evaluations/<int:key>/answers
        api/evaluations/<int:key>/cancel api/evaluations/<int:key>/resume
        api/training/jobs/<int:key>/place api/training/jobs/<int:key>/pause
        api/training/jobs/<int:key>/keep api/training/line
        api/training/line/<kind>/<int:key>/move api/training/sweeps
        api/training/sweeps/<int:key> api/training/sweeps/<int:key>/pause
        api/training/sweeps/<int:key>/resume api/training/sweeps/<int:key>/cancel
        """,
    ),
    # The import by path reads files of this machine; settings say what is run and served.
    (MANAGED, "api/benchmarks api/datasets api/disk/leftovers/<str:name>"),
    (Rule(Role.VIEWER, Role.MEMBER, {"PATCH": Role.OWNER}), "api/models/<str:slug>"),
    (MANAGED, "api/publications api/publications/<int:key> api/publications/<int:key>/cancel"),
    (MANAGED, "api/publications/<int:key>/repeat"),
    (OWNERS, "api/usage api/audit api/system/logs api/system/alerts metrics"),
    (
        MANAGED,
        """
        admin/health admin/cache/prompts admin/cache/prompts/stats
        admin/cache/prompts/<entry_id> admin/cache/prompts/warmup admin/cache/warm-prompts
        admin/cache/warm-prompts/warm
        """,
    ),
)

RULES: Mapping[str, Rule] = dict(_rules())
