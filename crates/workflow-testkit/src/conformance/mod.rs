//! The conformance suite: what a store has to do, as cases that fail over one that does not.
//!
//! The author of a store writes a [`Factory`] and one line, [`conformance!`](crate::conformance!).

pub mod advance;
pub mod atomic;
pub mod cancel;
pub mod claim;
pub mod concurrency;
pub mod crash;
mod factory;
pub mod failure;
pub mod finish;
mod fixture;
pub mod inspect;
pub mod lease;
pub mod migrations;
pub mod mismatch;
pub mod reap;
pub mod reap_again;
mod shop;
pub mod time;
pub mod together;
pub mod undo;
pub mod walk;

use std::future::Future;
use std::time::Duration;

pub use factory::Factory;

/// No case takes a tenth of this: one that does has a store that waits for ever.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs one case on a runtime of its own, with two threads, so that races are real.
pub fn run(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let ended = tokio::time::timeout(LIMIT, case).await;
        ended.unwrap_or_else(|_| panic!("the case did not end within {LIMIT:?}: something waits for ever"));
    });
    // A case that failed may have left a task that blocks.
    runtime.shutdown_background();
}

/// Expands to one test a case, in one module a subject, over the stores of this [`Factory`]. One line in a test of
/// the store's crate is all: `workflow_testkit::conformance!(MyFactory::new());`
///
/// The expression is evaluated in each test, in a module below the one where the line stands, in which everything
/// of that one is in scope.
#[macro_export]
macro_rules! conformance {
    ($factory:expr) => {
        $crate::__cases! {
            $factory;
            claim {
                a_new_key_stands_at_started_with_fence_one,
                a_new_row_holds_what_was_given_and_nothing_else,
                an_insert_returns_when_the_first_attempt_is_recorded,
                an_insert_of_a_known_key_touches_nothing,
                an_id_is_never_used_twice,
                a_leased_key_is_not_taken,
                a_key_whose_lease_ran_out_is_taken_with_the_next_fence,
                a_taken_key_is_leased_again,
                a_take_returns_the_request_and_the_seed_but_no_data_at_started,
                an_unknown_key_is_neither_found_nor_taken,
                a_claim_whose_reply_was_lost_is_taken_by_its_claim_id,
                a_take_whose_reply_was_lost_is_taken_again_and_counted_once,
                a_late_duplicate_of_a_take_does_not_throw_its_own_run_out,
                an_overtaken_claim_id_does_not_take_the_key_back,
                a_claim_id_opens_no_other_key,
                a_key_of_another_workflow_is_not_taken,
                a_key_with_another_digest_is_not_taken,
                a_key_at_a_point_that_is_not_listed_is_not_taken,
                a_take_that_lists_no_point_takes_nothing,
                who_resumes_without_a_request_takes_any_digest,
                claims_that_crash_are_counted_and_the_fence_only_grows,
                who_takes_a_key_knows_how_many_claims_have_crashed,
                scopes_do_not_see_each_other,
                where_the_scope_ends_counts,
                letters_and_spaces_of_a_key_count,
                wildcards_quotes_and_backslashes_are_plain_characters,
                keys_of_every_character_and_of_255_characters_are_kept,
                a_second_handle_sees_the_row_and_may_take_it,
                a_request_without_method_and_path_is_kept,
            }
            advance {
                an_advance_moves_the_key_to_the_point,
                whoever_takes_the_key_gets_the_last_points_data,
                an_advance_by_a_fence_that_is_too_low_is_refused,
                an_advance_by_a_fence_that_nobody_has_yet_is_refused,
                an_advance_from_another_point_is_refused,
                an_advance_of_another_id_is_refused,
                an_advance_moves_no_other_key,
                the_same_advance_is_refused_the_second_time,
                a_lease_that_ran_out_but_was_not_taken_still_advances,
                an_advance_extends_the_lease,
                an_advance_begins_to_count_anew,
                an_advance_records_the_next_steps_first_attempt,
                data_of_any_bytes_comes_back,
                data_of_one_mebibyte_comes_back,
                data_without_a_byte_is_not_no_data,
                forty_points_are_reached_one_after_the_other,
            }
            failure {
                a_further_attempt_is_counted_with_the_failure_of_the_last,
                a_further_attempt_extends_the_lease,
                a_failure_that_is_told_twice_counts_once,
                a_failure_of_another_attempt_is_refused,
                a_failure_by_a_stale_lease_is_refused,
                a_failure_does_not_take_back_a_released_lease,
                a_failure_may_leave_everything_as_it_is,
                a_key_that_is_freed_may_be_taken_at_once,
                a_key_that_waits_is_taken_when_its_time_has_come_and_not_before,
                a_key_that_waits_is_neither_advanced_nor_extended,
                a_parked_key_is_taken_only_after_somebody_let_it_go_on,
                a_key_that_waits_goes_on_before_its_time_if_somebody_says_so,
                to_let_go_on_what_runs_or_is_finished_or_unknown_does_nothing,
                whoever_takes_the_key_knows_how_many_attempts_did_nothing,
                a_step_forward_leaves_the_failures_behind_it,
                failures_are_told_by_row_point_and_attempt,
                an_error_of_any_text_comes_back,
                of_a_failure_and_a_take_one_wins,
            }
            atomic {
                notes_jobs_and_point_are_committed_together,
                a_rollback_leaves_nothing,
                a_transaction_that_is_dropped_leaves_nothing,
                after_a_rollback_the_same_step_can_be_committed,
                what_is_not_committed_is_seen_by_nobody,
                what_is_committed_is_seen_by_a_second_handle_at_once,
                a_job_keeps_its_message_id_kind_and_payload,
                a_stale_lease_is_refused_inside_the_transaction,
                another_point_is_refused_inside_the_transaction,
                a_finished_key_is_refused_inside_the_transaction,
                a_key_is_finished_inside_a_transaction,
                an_advance_inside_extends_the_lease_and_begins_to_count_anew,
                a_transaction_that_writes_nothing_commits,
                a_transaction_and_a_claim_of_another_key_lose_nothing,
                a_take_that_waited_for_an_advance_returns_the_new_points_data,
                a_heartbeat_neither_waits_for_a_locked_row_nor_calls_it_lost,
            }
            lease {
                a_heartbeat_extends_the_lease,
                a_heartbeat_changes_only_the_lease,
                a_heartbeat_renews_a_lease_that_ran_out_and_was_not_taken,
                a_heartbeat_of_an_overtaken_lease_is_lost_and_extends_nothing,
                a_heartbeat_never_revives_a_finished_key,
                a_late_heartbeat_does_not_take_back_a_released_lease,
                a_heartbeat_answers_each_lease_in_order,
                a_heartbeat_takes_a_thousand_leases_at_once,
                a_released_key_may_be_taken_at_once,
                a_release_keeps_why_and_the_next_one_forgets_it,
                a_claim_that_ends_in_a_release_is_no_crash,
                a_release_that_is_repeated_counts_once,
                a_release_by_an_overtaken_lease_does_nothing,
                a_release_of_a_finished_key_does_nothing,
                a_release_touches_no_other_key,
                a_key_that_was_released_and_taken_keeps_its_point,
                a_released_lease_is_overtaken_like_any_other,
                the_rest_of_a_lease_shrinks_to_zero,
                a_row_is_settled_where_it_stands_whoever_asks,
                a_finished_row_is_settled_as_finished,
                to_settle_waits_for_a_commit_under_way,
            }
            finish {
                a_finished_key_holds_its_response_and_no_lease,
                a_second_handle_sees_the_same_response,
                headers_and_body_of_any_bytes_come_back,
                a_body_of_one_mebibyte_comes_back,
                an_empty_body_is_not_no_body,
                the_lowest_and_the_highest_status_come_back,
                the_first_response_stands,
                a_finished_key_goes_back_to_no_point,
                a_finished_key_is_never_claimed_again,
                the_end_is_a_line_of_the_journal,
                a_replay_is_the_same_to_the_byte_and_runs_nothing,
                a_refusal_is_stored_and_its_steps_writes_are_rolled_back,
                a_refusal_by_a_foreign_step_ends_the_key,
                after_an_error_the_key_goes_on_at_its_point,
                a_panic_in_a_step_is_an_error_like_any_other,
                a_resumed_key_runs_from_what_is_stored,
                a_response_is_replayed_long_after_its_retention,
            }
            mismatch {
                another_body_is_a_mismatch_of_a_finished_key,
                another_body_is_a_mismatch_of_a_key_that_is_free,
                another_body_is_a_mismatch_of_a_key_under_way,
                another_workflow_is_a_mismatch_and_no_second_run,
                another_way_in_is_a_mismatch,
                members_in_another_order_are_the_same_request,
                numbers_count_by_their_digits,
                the_same_value_in_another_scope_is_a_run_of_its_own,
                a_key_at_a_point_that_this_build_does_not_know_is_left_as_it_is,
                a_workflow_that_is_not_registered_touches_nothing,
                to_resume_an_unknown_key_makes_no_row,
            }
            inspect {
                keys_are_listed_in_the_order_of_their_ids,
                pages_meet_without_gap_or_overlap,
                a_page_after_an_id_that_is_no_row_goes_on_there,
                a_page_without_a_limit_has_a_hundred_rows,
                a_list_is_filtered_by_each_part,
                all_parts_of_a_filter_hold_at_once,
                a_list_shows_what_find_shows,
                the_journal_tells_who_reached_which_point_when,
                the_journal_is_of_the_rows_that_were_asked_for_in_order,
                the_census_counts_unfinished_keys_by_workflow_and_point,
                the_backlog_is_of_what_is_not_finished,
            }
            concurrency {
                of_fifty_calls_at_one_key_one_runs,
                of_fifty_calls_from_two_processes_one_runs,
                many_keys_at_once_all_finish,
                a_call_during_a_run_is_in_progress_and_touches_nothing,
                of_many_inserts_of_one_key_one_is_made,
                of_many_takes_of_one_key_one_gets_it,
                of_many_advances_from_one_point_one_happens,
                of_a_take_and_an_advance_one_wins,
                of_a_take_and_a_transaction_one_wins,
                of_a_take_and_a_heartbeat_one_wins,
                who_wakes_in_a_foreign_step_after_the_end_commits_nothing,
                who_wakes_before_an_atomic_step_after_the_end_writes_nothing,
                who_wakes_at_the_same_point_is_stopped_by_the_fence_alone,
            }
            walk {
                a_walk_writes_its_points_in_order_and_moves_the_key_to_the_last,
                a_walk_to_the_response_finishes_the_key,
                a_walk_that_is_not_committed_is_seen_by_nobody,
                a_walk_from_another_point_writes_nothing_at_all,
                a_walk_by_another_fence_writes_nothing_at_all,
                a_walk_of_a_finished_key_writes_nothing_at_all,
                a_walk_of_another_id_writes_nothing_at_all,
                of_a_walk_that_is_rolled_back_or_dropped_nothing_is_left,
                a_step_begun_within_the_transaction_gets_the_time_of_its_point,
                whoever_takes_the_key_after_a_walk_gets_the_last_points_data,
                who_goes_on_after_a_walk_counts_on_from_its_last_point,
                the_notes_and_jobs_of_a_walk_are_committed_with_it,
                a_walk_extends_the_lease,
                a_walk_forgets_why_the_last_run_stopped,
                a_heartbeat_is_not_held_up_before_the_walk,
                a_walk_of_forty_points_is_one_step_for_who_looks,
            }
            together {
                of_many_inserts_each_key_is_made_once,
                of_many_inserts_the_one_with_a_used_id_is_refused_alone,
                of_many_inserts_each_row_is_as_if_it_were_alone,
                of_many_advances_each_is_answered_for_itself,
                advances_and_responses_at_once_are_each_exact,
                of_the_same_advance_twice_at_once_one_wins,
                of_two_walks_of_one_key_at_once_one_happens,
                of_many_releases_each_keeps_its_own_reason,
                inserts_advances_and_releases_at_once_do_not_mix,
            }
            cancel {
                a_cancelled_key_goes_no_further_forward,
                a_cancel_keeps_the_lease_that_is_out_and_shows_no_answer,
                a_heartbeat_of_a_cancelled_key_says_so_until_it_is_turned_round,
                a_cancelled_key_is_turned_round_with_what_was_reached,
                a_cancelled_key_ends_with_the_answer_of_the_cancel,
                to_turn_a_key_round_without_an_answer_it_must_be_cancelled,
                only_a_key_at_a_listed_point_of_this_workflow_is_cancelled,
                what_is_finished_or_undone_is_not_cancelled,
                a_key_that_waits_or_is_parked_goes_on_when_it_is_cancelled,
                a_second_cancel_keeps_the_first_answer_and_lets_the_key_go_on_again,
                a_failure_of_a_cancelled_key_is_recorded_only_by_who_knows,
                a_failure_of_an_undo_is_recorded_as_ever,
                a_settled_row_tells_the_answer_of_a_cancel,
                whoever_takes_a_cancelled_key_gets_its_answer_and_the_last_points_data,
                of_a_cancel_and_an_advance_one_wins,
            }
            undo {
                a_key_that_is_turned_round_is_undoing_and_shows_no_answer,
                to_turn_round_has_the_guards_of_an_advance,
                a_key_that_is_undone_does_not_go_forward_and_one_that_runs_not_back,
                the_last_undo_stores_the_answer,
                undos_and_the_answer_are_committed_together_or_not_at_all,
                whoever_takes_a_key_that_is_undone_gets_its_answer_and_goes_on,
                a_key_that_goes_forward_has_no_answer_to_undo_for,
                a_key_that_is_undone_waits_parks_and_goes_on_as_what_it_is,
                a_settled_row_says_that_it_was_turned_round,
            }
            reap {
                only_what_is_finished_and_over_is_reaped,
                a_key_goes_at_the_moment_when_its_retention_is_over,
                all_rows_of_a_key_go_with_it_and_no_others,
                a_key_with_a_job_that_is_not_delivered_stays,
                no_more_than_the_limit_goes_the_longest_expired_first,
                a_tombstone_refuses_its_generation_and_those_before_it,
                a_tombstone_is_of_one_key_in_one_scope,
                an_undo_that_is_rolled_back_leaves_no_tombstone,
                of_many_inserts_those_that_are_buried_are_refused_alone,
                many_reapers_at_once_reap_each_key_once,
                a_reaper_passes_over_what_is_under_way,
            }
            reap_again {
                an_unfinished_key_is_never_reaped_however_old,
                a_reaped_key_is_a_new_request,
                a_reaped_key_is_not_known_any_more,
                without_an_undo_the_next_life_has_the_same_effect_keys,
                after_an_undone_foreign_step_the_next_life_has_other_effect_keys,
                an_undo_of_what_the_key_wrote_itself_changes_no_effect_keys,
                a_replay_of_an_undone_key_is_a_replay_until_it_is_reaped,
                of_a_reap_and_a_call_the_answer_is_the_old_one_or_all_is_new,
                what_was_undone_is_never_called_again_by_its_old_key_whoever_is_first,
            }
            crash {
                every_call_may_find_the_database_away,
                the_reply_of_every_call_may_be_lost,
                the_process_may_die_before_every_call,
                the_process_may_die_after_every_call,
                what_is_tried_again_survives_a_fault_at_every_call,
            }
            time {
                the_clock_moves_what_is_written,
                a_second_handle_goes_by_the_same_clock,
                the_heartbeats_handle_goes_by_the_same_clock,
                a_take_is_the_last_run_and_moves_neither_birth_nor_first_attempt,
                an_advance_is_no_run,
                points_are_reached_when_the_database_says,
                a_key_is_finished_when_the_database_says,
                a_lease_lasts_as_long_as_was_asked_for,
                a_lease_of_milliseconds_is_not_rounded_to_seconds,
                the_clock_moves_by_milliseconds,
                leases_and_retentions_of_a_hundred_years_are_kept,
            }
            migrations {
                a_blank_database_is_not_verified,
                a_migrated_database_is_verified_and_takes_keys,
                a_second_handle_is_verified_too,
                to_migrate_twice_is_harmless,
                sixteen_handles_migrate_a_blank_database_at_once,
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __cases {
    ($factory:expr; $($subject:ident { $($case:ident,)* })*) => {
        $(mod $subject {
            #[allow(unused_imports, reason = "the factory may be named by a full path")]
            use super::*;

            $(#[test]
            fn $case() {
                $crate::conformance::run($crate::conformance::$subject::$case($factory));
            })*
        })*
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_listed() {
        let list = include_str!("mod.rs");
        let subjects = [
            include_str!("advance.rs"),
            include_str!("atomic.rs"),
            include_str!("claim.rs"),
            include_str!("concurrency.rs"),
            include_str!("crash.rs"),
            include_str!("failure.rs"),
            include_str!("finish.rs"),
            include_str!("inspect.rs"),
            include_str!("lease.rs"),
            include_str!("migrations.rs"),
            include_str!("mismatch.rs"),
            include_str!("reap.rs"),
            include_str!("reap_again.rs"),
            include_str!("time.rs"),
            include_str!("together.rs"),
            include_str!("undo.rs"),
            include_str!("walk.rs"),
        ];
        let cases = subjects.iter().flat_map(|text| text.split("\npub async fn ").skip(1));
        for name in cases.filter_map(|case| case.split('<').next()) {
            assert!(list.contains(&format!(" {name},\n")), "`{name}` stands in no list");
        }
    }
}
