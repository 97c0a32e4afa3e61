//! Words that a rule looks for without naming a field: Sigma looks for them inside of texts. The compiler does so for a plain
//! list of them, but takes those of `|all` for whole texts, of which an event has none that is two at once.

use rsigma_eval::{CompiledDetection, CompiledDetectionItem, CompiledMatcher, CompiledRule};

/// Makes all words of a rule such that they may stand inside of a text.
pub(super) fn loosen(rule: &mut CompiledRule) {
    rule.detections.values_mut().for_each(in_detection);
}

fn in_detection(detection: &mut CompiledDetection) {
    match detection {
        CompiledDetection::AllOf(items) => items.iter_mut().filter(|item| is_word(item)).for_each(|item| {
            in_matcher(&mut item.matcher);
        }),
        CompiledDetection::AnyOf(parts) | CompiledDetection::And(parts) => {
            parts.iter_mut().for_each(in_detection);
        }
        _ => {}
    }
}

fn is_word(item: &CompiledDetectionItem) -> bool {
    item.field.as_deref().is_none_or(str::is_empty)
}

fn in_matcher(matcher: &mut CompiledMatcher) {
    match matcher {
        CompiledMatcher::Exact {
            value,
            case_insensitive,
        } => {
            *matcher = CompiledMatcher::Contains {
                value: std::mem::take(value),
                case_insensitive: *case_insensitive,
            };
        }
        CompiledMatcher::AllOf(parts) | CompiledMatcher::AnyOf(parts) => {
            parts.iter_mut().for_each(in_matcher)
        }
        CompiledMatcher::CaseInsensitiveGroup { children, .. } => children.iter_mut().for_each(in_matcher),
        _ => {}
    }
}
