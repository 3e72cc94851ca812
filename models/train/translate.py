"""The "translate" task: a German sentence and its English translation.

A small grammar builds both sentences side by side. It covers gender and case,
plural with umlauts, weak and strong adjective endings, separable verbs, the
verb-second rule, the participle or infinitive at the end of the clause, and
subordinate clauses with the verb last.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from examples import Example
from lexicon import (
    ADJECTIVES,
    ANIMAL_VERBS,
    NOUNS,
    NUMBERS,
    PREPOSITIONS,
    TIMES,
    VERBS,
    Adjective,
    Noun,
    Verb,
)

# Endings per case and gender ("p" is plural) of der-words, as in "dieser".
DER_ENDINGS = {
    "nom": {"m": "er", "f": "e", "n": "es", "p": "e"},
    "acc": {"m": "en", "f": "e", "n": "es", "p": "e"},
    "dat": {"m": "em", "f": "er", "n": "em", "p": "en"},
}
# Endings of ein-words, as in "mein".
EIN_ENDINGS = {
    "nom": {"m": "", "f": "e", "n": "", "p": "e"},
    "acc": {"m": "en", "f": "e", "n": "", "p": "e"},
    "dat": {"m": "em", "f": "er", "n": "em", "p": "en"},
}
DEFINITE = {
    "nom": {"m": "der", "f": "die", "n": "das", "p": "die"},
    "acc": {"m": "den", "f": "die", "n": "das", "p": "die"},
    "dat": {"m": "dem", "f": "der", "n": "dem", "p": "den"},
}
EIN_WORDS = {"ein": "a", "mein": "my", "unser": "our", "sein": "his"}
EIN_WORDS_AND_KEIN = EIN_WORDS | {"kein": "no"}
MODALS = {  # third person, plural and English with plural subject and third person
    "kann": ("kann", "können", "can", "can"),
    "muss": ("muss", "müssen", "must", "must"),
    "soll": ("soll", "sollen", "should", "should"),
    "will": ("will", "wollen", "want to", "wants to"),
}
CLAUSE_OPENERS = [
    ("Ich glaube, dass", "I think that"),
    ("Wir wissen, dass", "We know that"),
    ("Er sagt, dass", "He says that"),
    ("Die Leute hoffen, dass", "The people hope that"),
]

LIVING_NOUNS = [noun for noun in NOUNS if "living" in noun.kinds]
PERSON_NOUNS = [noun for noun in NOUNS if "person" in noun.kinds]
PLACE_NOUNS = [noun for noun in NOUNS if "place" in noun.kinds]
TRANSITIVE = [verb for verb in VERBS if verb.objects]
INTRANSITIVE = [verb for verb in VERBS if not verb.objects]


@dataclass(frozen=True)
class Phrase:
    """A noun phrase or pronoun in both languages; `person` is "1s", "3s" or "p"."""

    german: str
    english: str
    person: str
    lemma: str


PRONOUNS = [
    Phrase("ich", "I", "1s", "ich"),
    Phrase("er", "he", "3s", "er"),
    Phrase("sie", "she", "3s", "sie"),
    Phrase("wir", "we", "p", "wir"),
    Phrase("sie", "they", "p", "sie"),
]


def adjective_ending(determiner: str, case: str, gender: str) -> str:
    """The ending of an adjective after a determiner class: "der", "ein" or "none"."""
    if determiner == "none":
        return DER_ENDINGS[case][gender]
    if gender == "p" or case == "dat" or (case == "acc" and gender == "m"):
        return "en"
    if determiner == "ein":
        return {"m": "er", "f": "e", "n": "es"}[gender]
    return "e"


def with_article(words: str) -> str:
    """Put "a" or "an" in front of English words."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def noun_phrase(
    rng: random.Random,
    noun: Noun,
    case: str,
    adjective: Adjective | None,
    ein_words: dict[str, str] = EIN_WORDS,
) -> Phrase:
    """Build a phrase around `noun` with a random determiner and number."""
    plural = rng.random() < 0.3
    gender = "p" if plural else noun.gender
    german_noun = noun.german_plural if plural else noun.german
    if plural and case == "dat" and german_noun[-1] not in "ns":
        german_noun += "n"
    english = noun.english_plural if plural else noun.english
    if adjective:
        english = f"{adjective.english} {english}"

    roll = rng.random()
    if roll < 0.45:
        kind, german, english = "der", DEFINITE[case][gender], f"the {english}"
    elif roll < 0.55:
        kind, german = "der", "dies" + DER_ENDINGS[case][gender]
        english = f"{'these' if plural else 'this'} {english}"
    elif plural and roll < 0.7:
        number_german, number_english = rng.choice(NUMBERS)
        kind, german, english = "none", number_german, f"{number_english} {english}"
    else:
        word = rng.choice([word for word in ein_words if not (plural and word == "ein")])
        kind, german = "ein", word + EIN_ENDINGS[case][gender]
        english = with_article(english) if word == "ein" else f"{ein_words[word]} {english}"

    if adjective:
        german += f" {adjective.stem}{adjective_ending(kind, case, gender)}"
    return Phrase(f"{german} {german_noun}", english, "p" if plural else "3s", noun.german)


def maybe_adjective(rng: random.Random, noun: Noun, chance: float) -> Adjective | None:
    """With the given chance, an adjective that fits the noun."""
    if rng.random() >= chance:
        return None
    return rng.choice([adj for adj in ADJECTIVES if adj.kinds & noun.kinds])


def subject(rng: random.Random, verb: Verb) -> Phrase:
    """A pronoun or a noun phrase about someone who can do what the verb says."""
    if rng.random() < 0.25:
        return rng.choice(PRONOUNS)
    noun = rng.choice(LIVING_NOUNS if verb.infinitive in ANIMAL_VERBS else PERSON_NOUNS)
    return noun_phrase(rng, noun, "nom", maybe_adjective(rng, noun, 0.25))


def direct_object(
    rng: random.Random, verb: Verb, ein_words: dict[str, str] = EIN_WORDS_AND_KEIN
) -> Phrase:
    """A noun phrase in the accusative that the verb can take."""
    noun = rng.choice([noun for noun in NOUNS if noun.kinds & verb.objects])
    return noun_phrase(rng, noun, "acc", maybe_adjective(rng, noun, 0.4), ein_words)


def clause(
    rng: random.Random, ein_words: dict[str, str] = EIN_WORDS_AND_KEIN
) -> tuple[Phrase, Verb, Phrase]:
    """A subject, a transitive verb and a direct object that fit together."""
    verb = rng.choice(TRANSITIVE)
    return subject(rng, verb), verb, direct_object(rng, verb, ein_words)


def place(rng: random.Random) -> Phrase:
    """A preposition with a place in the dative."""
    german_preposition, english_preposition = rng.choice(PREPOSITIONS)
    noun = rng.choice(PLACE_NOUNS)
    phrase = noun_phrase(rng, noun, "dat", maybe_adjective(rng, noun, 0.3))
    german = f"{german_preposition} {phrase.german}"
    if german.startswith("in dem "):
        german = "im " + german.removeprefix("in dem ")
    return Phrase(german, f"{english_preposition} {phrase.english}", phrase.person, noun.german)


def german_finite(verb: Verb, who: Phrase) -> str:
    """The present tense form of a German verb, without its separable prefix."""
    return {"1s": verb.first, "3s": verb.third, "p": verb.infinitive}[who.person]


def english_finite(verb: Verb, who: Phrase) -> str:
    """The present tense form of an English verb with its particle."""
    form = verb.english_third if who.person == "3s" else verb.english
    return join(form, verb.particle)


def english_base(verb: Verb) -> str:
    """The English base form with its particle."""
    return join(verb.english, verb.particle)


def do_form(who: Phrase) -> str:
    """The form of "do" that agrees with the subject."""
    return "does" if who.person == "3s" else "do"


def join(*parts: str) -> str:
    """Join the non-empty parts with single spaces."""
    return " ".join(part for part in parts if part)


def sentence(text: str, mark: str = ".") -> str:
    """Write the first letter large and add the closing mark."""
    return text[0].upper() + text[1:] + mark


def finish(german: str, english: str, lemmas: list[str], mark: str = ".") -> Example:
    """Make the example; the lemma combination decides on which side it falls."""
    return Example(sentence(german, mark), sentence(english, mark), "translate:" + " ".join(lemmas))


def present(rng: random.Random) -> Example:
    """"Heute kauft die Frau den Hut." -> "Today the woman buys the hat.\""""
    who, verb, what = clause(rng)
    finite = german_finite(verb, who)
    german = join(who.german, finite, what.german, verb.prefix)
    english = join(who.english, english_finite(verb, who), what.english)
    if rng.random() < 0.4:
        german_time, english_time = rng.choice(TIMES)
        german = join(german_time, finite, who.german, what.german, verb.prefix)
        english = join(english_time, english)
    return finish(german, english, [who.lemma, verb.infinitive, what.lemma])


def perfect(rng: random.Random) -> Example:
    """"Er hat das Brötchen gegessen." -> "He has eaten the roll.\""""
    who, verb, what = clause(rng)
    have = {"1s": "habe", "3s": "hat", "p": "haben"}[who.person]
    english_have = "has" if who.person == "3s" else "have"
    return finish(
        join(who.german, have, what.german, verb.participle),
        join(who.english, english_have, verb.english_participle, verb.particle, what.english),
        [who.lemma, verb.infinitive, what.lemma],
    )


def modal(rng: random.Random) -> Example:
    """"Wir wollen morgen den Garten sehen." -> "We want to see the garden tomorrow.\""""
    who, verb, what = clause(rng)
    singular, plural, english_plural, english_third = MODALS[rng.choice(list(MODALS))]
    german_time, english_time = rng.choice(TIMES) if rng.random() < 0.5 else ("", "")
    return finish(
        join(who.german, plural if who.person == "p" else singular, german_time, what.german,
             verb.prefix + verb.infinitive),
        join(who.english, english_third if who.person == "3s" else english_plural,
             english_base(verb), what.english, english_time),
        [who.lemma, verb.infinitive, what.lemma],
    )


def subordinate(rng: random.Random) -> Example:
    """"Er sagt, dass der Koch die Suppe bringt." -> "He says that the chef brings the soup.\""""
    german_opener, english_opener = rng.choice(CLAUSE_OPENERS)
    who, verb, what = clause(rng)
    return finish(
        join(german_opener, who.german, what.german, verb.prefix + german_finite(verb, who)),
        join(english_opener, who.english, english_finite(verb, who), what.english),
        [who.lemma, verb.infinitive, what.lemma],
    )


def question(rng: random.Random) -> Example:
    """"Sucht der Mann den Schlüssel?" -> "Does the man look for the key?\""""
    who, verb, what = clause(rng)
    return finish(
        join(german_finite(verb, who), who.german, what.german, verb.prefix),
        join(do_form(who), who.english, english_base(verb), what.english),
        [who.lemma, verb.infinitive, what.lemma],
        mark="?",
    )


def negation(rng: random.Random) -> Example:
    """"Der Hund sieht die Katze nicht." -> "The dog does not see the cat.\""""
    who, verb, what = clause(rng, EIN_WORDS)
    return finish(
        join(who.german, german_finite(verb, who), what.german, "nicht", verb.prefix),
        join(who.english, do_form(who), "not", english_base(verb), what.english),
        [who.lemma, verb.infinitive, what.lemma],
    )


def location(rng: random.Random) -> Example:
    """"In der Küche schläft die Katze." -> "The cat sleeps in the kitchen.\""""
    verb = rng.choice(INTRANSITIVE)
    who, where = subject(rng, verb), place(rng)
    finite = german_finite(verb, who)
    if rng.random() < 0.5:
        german = join(where.german, finite, who.german)
    else:
        german = join(who.german, finite, where.german)
    english = join(who.english, english_finite(verb, who), where.english)
    return finish(german, english, [who.lemma, verb.infinitive, where.lemma])


def description(rng: random.Random) -> Example:
    """"Die Äpfel sind sehr reif." -> "The apples are very ripe.\""""
    noun = rng.choice(NOUNS)
    who = noun_phrase(rng, noun, "nom", None)
    adjective = maybe_adjective(rng, noun, 1.0)
    german_degree, english_degree = rng.choice(
        [("", ""), ("sehr", "very"), ("nicht", "not"), ("zu", "too"), ("immer", "always")]
    )
    plural = who.person == "p"
    return finish(
        join(who.german, "sind" if plural else "ist", german_degree, adjective.german),
        join(who.english, "are" if plural else "is", english_degree, adjective.english),
        [noun.german, adjective.german, german_degree],
    )


PATTERNS: list[tuple[Callable[[random.Random], Example], int]] = [
    (present, 5), (perfect, 3), (modal, 3), (subordinate, 2),
    (question, 2), (negation, 2), (location, 3), (description, 2),
]


def make_example(rng: random.Random) -> Example:
    """One German sentence with its English translation."""
    patterns, weights = zip(*PATTERNS)
    return rng.choices(patterns, weights)[0](rng)
