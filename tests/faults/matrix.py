"""The fault matrix as data: what alma survives, how each must end, and the tests that show it.

A test's id is `file::function` under `tests/`; tests/faults/test_matrix.py holds that each is
there, and `nox -s faults` counts its trials by these numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Row:
    """`real` are tests with the real CLI, real signals or a real file; `model` those over fakes."""

    number: int
    fault: str
    end: str
    real: tuple[str, ...]
    model: tuple[str, ...] = ()


_ROWS_MODEL: Final = "faults/model/test_rows.py::test_stacks"
_ACTIONS: Final = "faults/model/test_rows.py::test_actions"
_RANDOM: Final = "faults/model/test_model.py::test_invariants_hold"
_KILLED: Final = "faults/real/test_moments.py::test_killed"
_STUB: Final = "faults/stub/test_kills.py::test_whoever_is_killed_whenever_the_end_is_true"
_REAL: Final = "faults/real/test_volume.py::test_whoever_is_killed_whenever_the_end_is_true"
_CRASHES: Final = "pulumi/test_crashes.py::"
_FAILURES: Final = "pulumi/test_failures.py::"
_LOST: Final = "pulumi/test_lost_creates.py::"
_CRASH: Final = "journal/test_crash.py::"
_CHAIN: Final = "journal/test_chain.py::"
_CALLED: Final = "runner/test_actions.py::"
_OTHER_LOCKS: Final = "pulumi/test_other_locks.py::"
_NEVER: Final = "runner/test_never_began.py::"
_INTERRUPTS: Final = "runner/test_interrupts.py::"

MATRIX: Final = (
    Row(1, "killed before the intent is written", "COMPLETED", (_STUB, _REAL), (_ROWS_MODEL,)),
    Row(2, "killed between intent and CLI start", "COMPLETED", (_STUB, _REAL), (_ROWS_MODEL,)),
    Row(
        3,
        "runner killed during up",
        "COMPLETED, or FAILED naming the URN",
        (
            _KILLED,
            _STUB,
            _REAL,
            f"{_CRASHES}test_a_killed_runner_leaves_a_cli_that_drains_and_settle_waits",
        ),
        (_ROWS_MODEL,),
    ),
    Row(4, "CLI succeeded, commit lost", "COMPLETED", (_STUB, _REAL), (_ROWS_MODEL, _ACTIONS)),
    Row(5, "killed during compensation", "COMPENSATED", (_KILLED, _STUB), (_ROWS_MODEL,)),
    Row(
        6,
        "CLI killed, runner alive",
        "as 3",
        (_KILLED, f"{_CRASHES}test_a_killed_cli_is_told_and_its_lock_is_broken"),
        (_ROWS_MODEL,),
    ),
    Row(
        7,
        "program or provider error",
        "COMPENSATED",
        (
            f"{_FAILURES}test_a_providers_refusal_names_the_resource",
            f"{_FAILURES}test_a_broken_program_is_told_in_one_line",
        ),
        (_ROWS_MODEL, _ACTIONS),
    ),
    Row(
        8,
        "destroy fails, or lies",
        "FAILED, leftovers named",
        (f"{_FAILURES}test_a_failed_delete_is_told_and_what_is_left_is_in_the_state",),
        (_ROWS_MODEL, "runner/test_undo.py::test_a_lying_destroy_is_not_believed"),
    ),
    Row(
        9,
        "provider plugin crashes",
        "COMPENSATED, or FAILED where a create is in doubt",
        (_KILLED, f"{_LOST}test_a_create_whose_provider_was_lost_is_named"),
        (_ROWS_MODEL,),
    ),
    Row(
        10,
        "hang",
        "deadline, signal, group killed, then as 3",
        (
            f"{_CRASHES}test_a_deadline_interrupts_then_kills_what_hangs",
            f"{_CRASHES}test_a_program_that_hangs_is_ended_at_its_deadline",
        ),
        (_ROWS_MODEL, _ACTIONS),
    ),
    Row(
        11,
        "one SIGINT or SIGTERM",
        "COMPENSATED, lock gone",
        (
            "faults/real/test_moments.py::test_one_signal_drains_and_undoes",
            "cli/test_signals.py::test_one_signal_lets_the_step_end_and_undoes_it",
        ),
        (_ROWS_MODEL,),
    ),
    Row(
        12,
        "two signals, 200 ms apart",
        "INTERRUPTED, in doubt journaled",
        (
            "faults/real/test_moments.py::test_two_signals_stop_and_resume_goes_on",
            "cli/test_signals.py::test_two_signals_stop_now_and_say_how_to_go_on",
        ),
        (_ROWS_MODEL,),
    ),
    Row(
        13,
        "worker killed",
        "as 3, no process left behind",
        (_KILLED, _STUB, f"{_FAILURES}test_a_killed_worker_leaves_a_cli_that_drains"),
    ),
    Row(
        14,
        "disk full",
        "REFUSED before the intent, INTERRUPTED after it",
        (
            "faults/real/test_disk.py::test_a_disk_that_fills_up_interrupts_and_resume_goes_on",
            "journal/test_full_disk.py::test_a_disk_that_fills_up_interrupts_and_resume_goes_on",
            f"{_CRASH}test_a_disk_that_takes_no_more_is_a_typed_error",
        ),
        (
            _ROWS_MODEL,
            f"{_INTERRUPTS}test_a_full_disk_in_the_middle_interrupts_with_an_emergency_record",
        ),
    ),
    Row(
        15,
        "journal locked by another writer",
        "waits, then REFUSED or INTERRUPTED",
        (
            f"{_CRASH}test_a_locked_journal_is_waited_for",
            f"{_CRASH}test_a_journal_that_stays_locked_is_refused",
        ),
        (_ROWS_MODEL,),
    ),
    Row(
        16,
        "journal damaged",
        "opens closed, the break named",
        (
            "journal/test_damage.py::test_a_flipped_bit_is_found_or_changes_nothing",
            f"{_CHAIN}test_any_edit_of_one_value_is_found",
            f"{_CRASH}test_a_torn_log_loses_only_its_tail",
        ),
    ),
    Row(
        17,
        "two runners on one target",
        "exactly one goes on",
        (
            "journal/test_locks.py::test_of_ten_runners_at_once_exactly_one_goes_on",
            "cli/test_runs.py::test_two_runs_at_once_one_is_refused_with_11",
        ),
        (_ROWS_MODEL,),
    ),
    Row(
        18,
        "lock of the backend left",
        "dead here: broken and journaled; else REFUSED",
        (
            f"{_CRASHES}test_a_lock_of_a_dead_process_is_broken",
            f"{_CRASHES}test_a_lock_that_may_be_held_is_refused_by_name",
        ),
    ),
    Row(
        19,
        "clock steps",
        "same outcome, order by sequence",
        ("journal/test_journal.py::test_order_does_not_depend_on_the_clock",),
        (_ROWS_MODEL,),
    ),
    Row(
        20,
        "output that is no JSON",
        "typed failure, compensation",
        (f"{_CALLED}test_a_result_that_is_no_json_fails_the_step",),
        (_ACTIONS,),
    ),
    Row(
        21,
        "output of 1 and 16 MB",
        "the journal keeps a digest",
        (
            "pulumi/test_operations.py::test_a_large_output_is_not_in_the_log",
            "faults/test_outputs.py::test_a_large_output_reaches_its_consumer_and_not_the_journal",
        ),
    ),
    Row(
        22,
        "secrets",
        "found nowhere",
        (
            "pulumi/test_config.py::test_a_secret_input_is_in_no_file_and_no_argv",
            f"{_FAILURES}test_a_secret_in_an_error_is_redacted",
            "restore/test_limits.py::test_no_secret_is_left_anywhere",
        ),
        (_RANDOM, f"{_CALLED}test_no_secret_reaches_the_journal"),
    ),
    Row(
        23,
        "journal of a newer alma",
        "REFUSED, file byte-identical",
        ("journal/test_files.py::test_what_is_no_journal_is_refused_untouched",),
    ),
    Row(
        24,
        "program calls sys.exit, os._exit",
        "as 7",
        (
            f"{_FAILURES}test_a_program_cannot_end_its_worker",
            f"{_FAILURES}test_a_program_that_ends_its_process_is_a_failure_of_the_worker",
        ),
    ),
    Row(
        25,
        "definition changed before resume",
        "REFUSED unless accepted",
        ("cli/test_runs.py::test_a_changed_saga_is_refused_unless_accepted",),
    ),
    Row(
        26,
        "hostile names",
        "REFUSED before any process",
        (f"{_FAILURES}test_a_hostile_name_reaches_no_process",),
    ),
    Row(
        27,
        "the stack existed before",
        "put back, or retained and named",
        ("restore/test_features.py::test_inputs_additions_secrets_and_outputs",),
        ("faults/model/test_rows.py::test_a_stack_that_existed_before",),
    ),
    Row(
        28,
        "resources deleted behind its back",
        "undone all the same",
        (
            "faults/real/test_moments.py::test_what_was_deleted_behind_its_back_is_undone_all_the_same",
        ),
    ),
    Row(
        29,
        "flags and settings by environment",
        "as without them",
        ("pulumi/test_environment.py::test_up_and_undo_are_as_without_them",),
        ("pulumi/test_environment.py::test_other_tools_have_such_families_too",),
    ),
    Row(
        30,
        "a create's answer cannot be read, or is a gateway's or a client's timeout",
        "FAILED naming the URN, or the resolver's word",
        (
            "pulumi/test_doubtful_answers.py::test_a_create_that_took_effect_is_never_clean",
            "pulumi/test_doubtful_answers.py::test_a_resolver_is_asked_about_it",
        ),
    ),
    Row(
        31,
        "an undo that reaches nobody or nothing",
        "FAILED, the step a leftover",
        (
            "steps/test_ansible_reached.py::test_an_undo_that_reaches_nobody_is_a_leftover",
            "steps/test_terraform.py::test_a_state_that_is_gone_proves_nothing",
            "cli/test_directory.py::test_a_destroy_from_elsewhere_is_refused",
        ),
    ),
    Row(
        32,
        "a value that holds a secret's text is used after a restart",
        "the true value; nothing in plain; REFUSED without the key",
        (
            "steps/test_sealed.py::test_used_by_the_undo_of_another_process",
            "steps/test_sealed.py::test_used_by_the_action_of_another_process",
            "steps/test_sealed.py::test_nothing_is_touched_without_the_key",
        ),
        (
            "runner/test_sealed.py::test_the_next_process_is_given_what_the_run_would_have_given",
            "runner/test_sealed.py::test_the_mask_of_an_older_journal_is_never_the_value",
        ),
    ),
    Row(
        33,
        "a stack that was there holds only outputs, components, providers or reads",
        "put back; never destroyed",
        (
            "restore/test_held.py::test_what_was_there_before_is_put_back",
            "restore/test_held.py::test_what_is_only_read_stays_read",
        ),
    ),
    Row(
        34,
        "a host's signal handlers; several sagas in one loop, in threads",
        "all live runs drain, the host is told, its handlers are back",
        (
            "runner/test_signals.py::test_a_handler_of_the_hosts_loop_is_told_during_a_run_and_after_it",
            "runner/test_signals.py::test_every_live_run_is_told_also_those_in_threads",
            "runner/test_signals.py::test_a_signal_before_the_first_step_begins_none",
        ),
    ),
    Row(
        35,
        "another pid namespace, host or boot under the same host name",
        "nothing of it is taken for dead; REFUSED with the way out",
        (
            "pulumi/test_crashes.py::test_a_lock_of_another_namespace_is_not_broken",
            "pulumi/test_crashes.py::test_a_process_is_looked_for_only_where_it_was",
        ),
    ),
    Row(
        36,
        "the stack is locked by somebody else",
        "no operation of alma's on it; named, and REFUSED while it is at work",
        (
            f"{_CRASHES}test_a_locked_stack_fails_as_locked",
            f"{_CRASHES}test_a_lock_that_may_be_held_is_refused_by_name",
            f"{_OTHER_LOCKS}test_a_dead_holders_lock_in_a_bucket_goes_only_where_the_journal_knows_it",
            f"{_NEVER}test_what_anothers_lock_refused_is_not_undone_to_the_other",
            "faults/real/test_backends.py::test_killed",
        ),
    ),
    Row(
        39,
        "a step raises anything at all",
        "a failed operation of that step; the others are undone",
        ("security/test_hostile_answers.py::test_whatever_a_step_raises_is_its_own_failure",),
    ),
    Row(
        40,
        "a journal or a directory of somebody else",
        "REFUSED; nothing of it is run, removed or destroyed",
        (
            "security/test_planted_journal.py::test_it_is_not_acted_on",
            "security/test_own.py::test_a_planted_directory_is_refused",
        ),
    ),
    Row(
        41,
        "a create that takes over what was there",
        "FAILED naming it, and it stays; the rest is undone",
        (
            "restore/test_taken_over.py::test_what_another_stack_holds_stays_there",
            "restore/test_taken_over.py::test_what_a_program_imports_stays",
            "steps/test_terraform_states.py::test_what_a_module_imports_is_not_destroyed",
            "steps/test_http_answers.py::test_what_a_put_takes_over_is_not_undone",
            "integration/aws/test_taken_over.py::test_a_queue_of_another_saga_stays",
        ),
        (
            "runner/test_taken_over.py::test_the_rest_is_destroyed_and_it_is_named",
            "runner/test_taken_over.py::test_a_crash_in_between_forgets_nothing",
        ),
    ),
    Row(
        42,
        "an update or a delete is done, and its answer is lost",
        "FAILED naming it, unless it was done again",
        ("pulumi/test_lost_updates.py::test_what_was_done_unseen_is_named",),
        ("pulumi/test_lost_updates.py::test_what_was_done_again_is_seen",),
    ),
)
