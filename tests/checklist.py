"""What PS3.18 asks of an origin server, line by line, and the test that shows each line; generates the README's table.

A line without a test is one that is not there yet. `own` lines are what masking adds to the standard.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

NOT_YET = ""


@dataclass(frozen=True)
class Line:
    """One requirement: the part of the standard it belongs to, its section, and the test (file::function) of it."""

    part: str
    section: str
    fact: str
    test: str = NOT_YET


def _part(part: str, *lines: tuple[str, str, str]) -> tuple[Line, ...]:
    return tuple(Line(part, section, fact, test) for section, fact, test in lines)


_CAPABLE = "test_capabilities.py::test_"
_OFFERED = f"{_CAPABLE}every_offered_media_type_is_answered"
_TAKEN = f"{_CAPABLE}every_parameter_is_taken_and_no_other"
_RULES = f"{_CAPABLE}every_rule_has_a_row_and_every_row_a_rule"
_ACCEPTED = "test_accept_over_http.py::test_"
_RENDER = "pixels/test_pixels_render.py::test_"
_QUERY = "test_search_query.py::test_"
_PART10 = "metadata/test_metadata_part10.py::test_"
_STORE = "test_store_rules.py::test_"
_REQUESTS = "test_bad_requests.py::test_"
_ROUTES = "test_routes.py::test_"
_FORMS = "test_retrieve_forms.py::test_"
_PARTS = "test_parts_of_answers.py::test_"
_RENDERED = "test_rendered_forms.py::test_"
_STATES = "test_presentation_states.py::test_"
_URI = "test_wado_uri.py::test_"
_CACHES = "test_attacks_caches.py::test_"
_ATTACKS = "test_attacks_routes.py::test_"
_PATHS = "test_attacks_paths.py::test_"

LINES: tuple[Line, ...] = (
    *_part(
        "Capabilities",
        ("8.9", "OPTIONS on the base describes every resource, as WADL and JSON",
         f"{_CAPABLE}capabilities_describe_the_whole_service_at_its_base"),
        ("annex H", "OPTIONS on a resource describes it and its children",
         f"{_CAPABLE}capabilities_describe_a_resource_and_what_is_below"),
        ("annex H", "methods name media types, parameters and statuses",
         f"{_CAPABLE}a_wadl_method_says_what_its_row_says"),
        ("own", "a description says nothing of what is stored",
         f"{_CAPABLE}capabilities_tell_nothing_of_what_is_there"),
        ("PS3.2", "a conformance statement, with security and levels",
         f"{_CAPABLE}the_statement_tells_table_levels_and_roles"),
    ),
    *_part(
        "Retrieve",
        ("10.4.1.1.1", "study, series, instance as application/dicom", _OFFERED),
        ("10.4.1.1.2", "metadata of study, series, instance", _OFFERED),
        ("10.4.1.1.3", "bulk data of study, series, instance and by URI", _OFFERED),
        ("10.4.1.1.4", "pixel data of study, series, instance", f"{_FORMS}pixel_data_alone_at_every_level"),
        ("10.4.1.1.6", "frames, one part each, in the asked order", f"{_ACCEPTED}frames_come_in_the_asked_order"),
        ("10.4.1.1.6", "a frame beyond the last is not found", f"{_REQUESTS}a_frame_beyond_the_last_is_not_found"),
        ("8.7", "without any Accept: 406", f"{_ACCEPTED}a_request_says_what_it_accepts"),
        ("8.7", "nothing acceptable: 406", f"{_ACCEPTED}what_cannot_be_given_is_not_acceptable"),
        ("8.7.4", "DICOM and rendered media types mixed: 400", f"{_ACCEPTED}dicom_and_rendered_media_types_do_not_mix"),
        ("8.7.8.1", "the accept parameter comes first", f"{_ACCEPTED}the_query_parameter_comes_first"),
        ("8.3.3.2", "charset and Accept-Charset; UTF-8 always", f"{_FORMS}only_utf_8_is_sent"),
        ("8.7.3", "Explicit VR Little Endian by default, the offered syntaxes where asked for", _OFFERED),
        ("own", "transfer-syntax=* is never the stored bytes",
         "test_codecs_over_http.py::test_a_researcher_gets_the_same_masked_samples_on_every_route"),
        ("8.7.3", "metadata as multipart application/dicom+xml", f"{_FORMS}metadata_in_xml_is_that_in_json"),
        ("8.7.3", "bulk data in parts and as a single part", _OFFERED),
        ("8.7.3", "frames as RLE, JPEG lossless, JPEG-LS, JPEG 2000, HTJ2K",
         f"{_ACCEPTED}frames_as_lossless_codestreams"),
        ("8.7.3", "video is not sent, which no mask could be drawn into frame by frame: 406",
         f"{_RENDERED}video_is_not_acceptable"),
        ("8.6.1.2", "Range: 206 and 416", f"{_PARTS}the_parts_make_the_whole_of_the_masked_view"),
        ("PS3.18 F.2", "large values by BulkDataURI, small ones inline",
         "metadata/test_metadata_json.py::test_a_M16_inline_or_bulk_the_masked_value_alone"),
        ("8.6", "parts have quoted boundary, media type and transfer syntax", f"{_ACCEPTED}frames_in_one_part_each"),
        ("own", "only listed statuses are answered", f"{_CAPABLE}only_the_listed_statuses_are_answered"),
    ),
    *_part(
        "Rendered",
        ("8.7.4", "JPEG by default, PNG and GIF", _OFFERED),
        ("8.7.4", "JPEG 2000, animated GIF", f"{_RENDERED}jpeg_2000_and_animations"),
        ("8.7.4", "text objects as HTML, plain text and XML", f"{_RENDERED}a_report_is_text"),
        ("own", "text objects say what the level tells", f"{_RENDERED}a_report_is_the_text_of_its_level"),
        ("8.3.5.1.1", "annotation, in words of the level", f"{_RENDERED}annotations_say_what_the_level_tells"),
        ("8.3.5.1.1", "unknown annotations: Warning 299", f"{_RENDERED}what_cannot_be_annotated_is_told"),
        ("8.3.5.1.2", "quality from 1 to 100", _TAKEN),
        ("8.3.5.1.3", "viewport: scale, crop, mirror", f"{_RENDER}viewports"),
        ("8.3.5.1.4", "window: centre, width and function, all three", f"{_RENDER}windows_agree_with_pydicom"),
        ("8.3.5.1.5", "colour profiles", f"{_RENDERED}colour_profiles_lie_in_every_format_that_has_room"),
        ("10.4.1.1.7", "thumbnails at all four levels, viewport only", _TAKEN),
        ("own", "a thumbnail shows the view of its role",
         "test_noninterference.py::test_answers_do_not_depend_on_what_is_hidden"),
        ("PS3.4 N", "modality LUT, VOI LUT, presentation shape", f"{_RENDER}monochrome1_rescale_and_tables"),
        ("PS3.4 N", "colour, palette, luma and chroma", f"{_RENDER}colours"),
        ("PS3.4 N", "every form of samples and every pipeline as floats say, within one grey level",
         "test_pixel_table.py::test_a_row_is_rendered_as_floats_say"),
        ("PS3.4 N", "presentation states: tables and windows", f"{_STATES}windows_tables_and_shapes_of_a_state"),
        ("PS3.4 N", "presentation states: turns, mirrors, displayed areas", f"{_STATES}turns_mirrors_and_areas"),
        ("PS3.4 N", "presentation states: shutters", f"{_STATES}shutters_cover_what_lies_outside_all_of_them"),
        ("PS3.4 N", "presentation states: figures and texts", f"{_STATES}figures_and_words_are_drawn_where_they_lie"),
        ("8.3.5.1.4", "a window for a presentation state: 400", f"{_STATES}a_state_has_windows_of_its_own"),
        ("own", "a presentation state shows nothing that the mask hides",
         f"{_STATES}what_is_under_the_mask_has_no_effect_through_any_state"),
        ("own", "mask commutes with crops, scales, mirrors and turns",
         "test_mask_commutes.py::test_a_mask_drawn_last_hides_no_less"),
        ("PS3.3 C.9", "overlay planes, where no sample is masked",
         f"{_RENDERED}overlays_are_drawn_for_those_who_see_every_sample"),
        ("PS3.3 C.7.6.3.1.7", "pixels that are not square", f"{_RENDER}pixels_that_are_not_square"),
    ),
    *_part(
        "Search",
        ("10.6.1.1", "six searches", _RULES),
        ("8.3.4.1", "keys by keyword, tag and dotted path, each once", f"{_QUERY}what_is_no_search_is_a_bad_request"),
        ("10.6.1.2", "required keys of studies", f"{_QUERY}keys_of_studies"),
        ("10.6.1.2", "required keys of series and instances", f"{_QUERY}keys_of_series"),
        ("8.3.4.1", "lists of UIDs", f"{_QUERY}lists_of_uids_with_commas_and_backslashes"),
        ("PS3.4 C.2.2.2", "wildcards", "metadata/test_metadata_match.py::test_glob_is_the_reference"),
        ("PS3.4 C.2.2.2.5", "ranges of dates and times", "metadata/test_metadata_match.py::test_single_values"),
        ("10.6.3.3", "response attributes of the three levels", f"{_QUERY}a_row_says_what_the_standard_wants"),
        ("8.3.4.3", "includefield: lists or all", f"{_QUERY}fields_come_in_lists_again_or_all"),
        ("8.3.4.2", "fuzzymatching, else Warning 299",
         f"{_QUERY}a_q7_fuzzy_empty_and_moved_keys_are_about_the_masked_view"),
        ("8.3.4.5", "emptyvaluematching, multiplevaluematching", _TAKEN),
        ("8.3.4.4", "limit and offset, Warning 299 with what remains", f"{_QUERY}pages_are_bounded_and_told"),
        ("8.7.3", "rows as JSON and as XML parts", f"{_QUERY}rows_come_as_xml_parts_that_say_what_json_says"),
        ("own", "keys match the masked view only",
         "test_search_equals_retrieve.py::test_a_search_matches_what_is_left_of_a_text_and_nothing_else"),
        ("own", "counts and pages are those of the view",
         "test_search_worlds.py::test_counts_are_exact_up_to_a_thousand"),
    ),
    *_part(
        "Store",
        ("10.5.1", "POST to studies and to one study", f"{_CAPABLE}every_body_that_is_taken_is_taken"),
        ("10.5.1", "no query parameters", f"{_REQUESTS}a_store_takes_no_query"),
        ("10.5.2", "multipart and single application/dicom", f"{_CAPABLE}every_body_that_is_taken_is_taken"),
        ("10.5.2", "metadata with bulk data parts, JSON and XML",
         "test_store_metadata.py::test_metadata_and_its_bulk_data_are_one_film"),
        ("10.5.3", "failures with their reasons",
         "test_bad_input.py::test_a_bad_object_is_refused_with_a_reason_and_leaves_nothing"),
        ("10.5.3", "some stored: 202",
         "test_bad_input.py::test_one_bad_object_among_good_ones_is_the_only_one_refused"),
        ("10.5.3", "another study's address: refused", f"{_STORE}a_store_to_another_study_s_address_is_refused"),
        ("10.5.3", "malformed: 400, all of it", f"{_REQUESTS}a_S8_a_malformed_store_request_is_refused_whole"),
        ("10.5.3", "too large: 413", "test_bad_input.py::test_an_object_above_the_limit_is_refused"),
        ("10.5.3", "unsupported coding: 415", f"{_REQUESTS}an_encoded_body_is_not_taken"),
        ("10.5.3", "the same object again is a success", f"{_STORE}a_byte_identical_store_again_is_a_success"),
        ("10.5.3", "failures as XML too",
         "test_store_metadata.py::test_the_report_comes_as_xml_too_and_names_what_has_no_name"),
        ("own", "a rejected instance is nowhere for nobody",
         "test_store_rejection.py::test_what_a_note_names_is_nowhere_for_nobody"),
        ("own", "the first copy wins", f"{_STORE}a_s2_the_first_copy_wins"),
    ),
    *_part(
        "WADO-URI",
        ("9.4", "requestType, studyUID, seriesUID, objectUID; pictures and application/dicom", _OFFERED),
        ("9.5", "contentType, frameNumber, rows, columns, window, imageQuality, transferSyntax", _TAKEN),
        ("9.5", "region", f"{_URI}a_region_never_shows_what_the_whole_hides"),
        ("9.5", "annotation, iccprofile, text objects", f"{_RENDERED}wado_gives_text_and_annotated_pictures"),
        ("9.5", "presentationUID, presentationSeriesUID", f"{_STATES}wado_sees_a_film_through_a_state"),
        ("9.4", "the default follows the kind of object", f"{_URI}the_default_follows_the_kind_of_object"),
        ("9.5", "anonymize is never ignored", f"{_ATTACKS}a_C2_no_switch_of_a_client_lowers_the_mask"),
        ("9.5", "anonymize=yes answered with a de-identified object",
         f"{_URI}anonymize_shows_a_clinician_what_a_more_masked_level_shows"),
    ),
    *_part(
        "General",
        ("RFC 6750", "401 with a challenge that leads to the metadata", f"{_ROUTES}strangers_are_challenged"),
        ("own", "403 where a role never has it, 404 where it may not see", f"{_ROUTES}roles_get_what_the_policy_gives"),
        ("RFC 9110 15.5.6", "405 with Allow", f"{_ROUTES}other_methods_are_not_allowed"),
        ("RFC 9110 9.3.2", "HEAD agrees with GET", f"{_ROUTES}head_agrees_with_get"),
        ("8.5", "errors say why, in one shape and without identity", f"{_ROUTES}errors_have_one_shape"),
        ("8.5", "503 with Retry-After", f"{_ROUTES}errors_have_one_shape"),
        ("RFC 9111", "nothing may be kept by a shared cache", f"{_CACHES}a_C5_a_shared_cache_keeps_nothing"),
        ("RFC 9110 13", "entity tags hold within one view", f"{_CACHES}a_C6_no_entity_tag_holds_in_another_view"),
        ("RFC 9110 8.4", "compression where asked for", f"{_PARTS}json_is_compressed_where_that_is_asked_for"),
        ("own", "no page of another origin reads an answer", f"{_PATHS}a_C16_a_body_is_only_what_it_says"),
        ("PS3.5 9.1", "what is no UID: 400", f"{_REQUESTS}a_s1_what_is_no_uid_in_a_path_is_a_bad_request"),
    ),
)  # fmt: skip


def table() -> str:
    """Counts for each part, then the lines that nothing shows yet."""
    rows = ["| part | lines | with a test |", "|---|---:|---:|"]
    for part, found in groupby(LINES, key=lambda line: line.part):
        lines = list(found)
        rows.append(f"| {part} | {len(lines)} | {sum(line.test != NOT_YET for line in lines)} |")
    shown = sum(line.test != NOT_YET for line in LINES)
    rows.append(f"| all | {len(LINES)} | {shown} |")
    missing = "; ".join(f"{line.part.lower()}: {line.fact} ({line.section})" for line in LINES if line.test == NOT_YET)
    return "\n".join(rows) + (f"\n\nNot yet: {missing}." if missing else "")
