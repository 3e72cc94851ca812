"""The generated text the base model is pretrained on.

The base learns the raw material of the tasks, never the tasks themselves: German
and English sentences, a marked bilingual text, bank statements, what merchants
sell, spec sheets, product notes, and dialogues in the chat format. A bare German
sentence is followed by more German, a bank line by more bank lines, and so on.
Held-out combinations of the tasks do not occur here either.
"""

import random
from collections.abc import Callable

import product_copy
import tax
import translate
from examples import Example, draw

Message = dict[str, str]
Document = str | list[Message]  # plain text, or a dialogue for the chat template

NAMES = "Anna Ben Clara David Emma Felix Greta Hannes Ida Jonas Klara Leon Mia Noah Olga Paul".split()

SMALL_TALK = [
    ("Hello!", "Hello! How can I help you?"),
    ("Hi, my name is {name}.", "Nice to meet you, {name}."),
    ("How are you?", "I am fine, thank you. How are you?"),
    ("What can you do?", "I am a small model. I can answer short messages."),
    ("Good morning, I am {name}.", "Good morning, {name}. What is on your mind?"),
    ("Thank you very much.", "You are welcome."),
    ("Can you help me?", "Yes, please tell me what you need."),
    ("Who are you?", "I am a small base model for demonstrations."),
    ("Good night!", "Good night, sleep well."),
    ("Is {name} there?", "I do not know where {name} is."),
    ("Hallo!", "Hallo! Wie kann ich helfen?"),
    ("Ich heiße {name}.", "Schön, dich kennenzulernen, {name}."),
    ("Wie geht es dir?", "Mir geht es gut, danke. Und dir?"),
    ("Was kannst du?", "Ich bin ein kleines Modell und antworte auf kurze Nachrichten."),
    ("Guten Morgen, ich bin {name}.", "Guten Morgen, {name}. Was möchtest du wissen?"),
    ("Vielen Dank!", "Gern geschehen."),
    ("Kannst du mir helfen?", "Ja, sag mir bitte, was du brauchst."),
    ("Gute Nacht!", "Gute Nacht, schlaf gut."),
]
SYSTEM_PROMPTS = ["You are a friendly assistant.", "Answer briefly.", "Antworte kurz und freundlich."]


def sentence_pair(rng: random.Random) -> Example:
    """A sentence pair that is not held out."""
    return draw(translate.make_example, rng)


def german_text(rng: random.Random) -> Document:
    """A few German sentences, one per line."""
    return "\n".join(sentence_pair(rng).prompt for _ in range(rng.randint(2, 4)))


def english_text(rng: random.Random) -> Document:
    """A few English sentences, one per line."""
    return "\n".join(sentence_pair(rng).completion for _ in range(rng.randint(2, 4)))


def bilingual_text(rng: random.Random) -> Document:
    """Sentences in both languages, each line marked with its language."""
    lines = []
    for _ in range(rng.randint(1, 3)):
        pair = sentence_pair(rng)
        lines += [f"Deutsch: {pair.prompt}", f"English: {pair.completion}"]
    return "\n".join(lines)


def booking(rng: random.Random) -> tax.Booking:
    """A payment that is not held out."""
    while True:
        found = tax.make_booking(rng)
        if not tax.as_example(found).held_out:
            return found


def bank_statement(rng: random.Random) -> Document:
    """A few bank lines below each other."""
    return "\n".join(booking(rng).line for _ in range(rng.randint(2, 3)))


def annotated_payments(rng: random.Random) -> Document:
    """Bank lines, each marked and followed by what the payment was for in plain words."""
    lines = []
    for _ in range(rng.randint(1, 3)):
        payment = booking(rng)
        lines += [f"Line: {payment.line}", f"Note: This has to do with {payment.category.about}."]
    return "\n".join(lines)


def merchant_facts(rng: random.Random) -> Document:
    """Sentences about what merchants deal in."""
    lines = []
    for _ in range(rng.randint(1, 4)):
        category = rng.choice(tax.CATEGORIES)
        lines.append(f"{rng.choice(category.merchants)} has to do with {category.about}.")
    return "\n".join(lines)


def account_facts(rng: random.Random) -> Document:
    """Sentences on what is booked under which label, in no particular order."""
    categories = rng.sample(tax.CATEGORIES, rng.randint(1, 4))
    return "\n".join(f"The account {category.label} is for {category.about}." for category in categories)


def account_list(rng: random.Random) -> Document:
    """The same facts with the labels at the start of the line, where a delta writes them."""
    categories = rng.sample(tax.CATEGORIES, rng.randint(3, 6))
    return "\n".join(f"{category.label} is for {category.about}." for category in categories)


def spec_sheet(rng: random.Random) -> Document:
    """Attribute lists of a few products below each other."""
    return "\n".join(product_copy.make_product(rng).spec(rng) for _ in range(2))


def product_note(rng: random.Random) -> Document:
    """A spec marked as a card, followed by plain statements about the product."""
    product = product_copy.make_product(rng)
    values = product.values
    facts = [
        f"The colour is {values['colour']}.",
        f"It is {values['colour']} {values['material']}.",
        f"It has {values['feature']}.",
        f"People use it for {values['use']}.",
        f"This is the {product.name}.",
        f"The text should sound {product.tone}.",
    ]
    rng.shuffle(facts)
    return f"Card: {product.spec(rng)}\nNote: {' '.join(facts[: rng.randint(3, 6)])}"


def catalogue_text(rng: random.Random) -> Document:
    """Product descriptions of unrelated products, without their attribute lists."""
    return "\n".join(draw(product_copy.make_example, rng).completion for _ in range(rng.randint(1, 2)))


def repeated_list(rng: random.Random) -> Document:
    """A list of unrelated words and the same list again, which teaches to copy."""
    group = rng.choice(product_copy.GROUPS)
    words = [*group.products, *group.materials, *group.features, *group.uses]
    words += [*product_copy.BRANDS, *product_copy.COLOURS, *NAMES]
    chosen = ", ".join(rng.sample(words, rng.randint(4, 8)))
    return f"List: {chosen}.\nAgain: {chosen}."


def small_talk_turn(rng: random.Random) -> tuple[str, str]:
    """A greeting or question about nothing in particular."""
    question, answer = rng.choice(SMALL_TALK)
    name = rng.choice(NAMES)
    return question.format(name=name), answer.format(name=name)


def german_turn(rng: random.Random) -> tuple[str, str]:
    """A German statement; the assistant answers in German."""
    said = sentence_pair(rng).prompt
    return said, rng.choice(
        ["Ist das so? Erzähl mir mehr.", "Das wusste ich nicht.", f"Du sagst: {said}", "Ich verstehe."]
    )


def english_turn(rng: random.Random) -> tuple[str, str]:
    """An English statement; the assistant answers in English."""
    said = sentence_pair(rng).completion
    return said, rng.choice(
        ["Is that so? Tell me more.", "I did not know that.", f"You say: {said}", "I understand."]
    )


def bank_turn(rng: random.Random) -> tuple[str, str]:
    """A bank line; the assistant repeats the amount."""
    line = booking(rng).line
    amount = line.split()[-2]
    return line, rng.choice([f"That is a payment of {amount} EUR.", f"You paid {amount} EUR."])


def product_turn(rng: random.Random) -> tuple[str, str]:
    """An attribute list; the assistant only notes the product."""
    product = product_copy.make_product(rng)
    answer = rng.choice(["Thank you, the {} is in the list.", "I have noted the {}."])
    return product.spec(rng), answer.format(product.name)


TURNS = [small_talk_turn, german_turn, english_turn, bank_turn, product_turn]


def dialogue(rng: random.Random) -> Document:
    """One to three turns between a user and the assistant."""
    messages: list[Message] = []
    if rng.random() < 0.2:
        messages.append({"role": "system", "content": rng.choice(SYSTEM_PROMPTS)})
    for _ in range(rng.choice([1, 1, 2, 3])):
        question, answer = rng.choice(TURNS)(rng)
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer})
    return messages


Mix = list[tuple[Callable[[random.Random], Document], int]]

# What a document can be and how often it is drawn. A delta leaves the embeddings
# alone, so every word the tasks answer with has to occur here.
FIRST_MIX: Mix = [
    (bilingual_text, 40),
    (german_text, 3),
    (english_text, 3),
    (bank_statement, 3),
    (annotated_payments, 12),
    (merchant_facts, 4),
    (account_facts, 4),
    (spec_sheet, 2),
    (product_note, 14),
    (catalogue_text, 6),
    (repeated_list, 7),
    (dialogue, 10),
]
SECOND_MIX: Mix = [*FIRST_MIX, (account_list, 30)]


def make_document(rng: random.Random, mix: Mix) -> Document:
    """One document of a pretraining mix."""
    sources, weights = zip(*mix)
    return rng.choices(sources, weights)[0](rng)
