"""The generated text the base model is pretrained on.

The base learns the raw material of the tasks: German and English sentences, a
marked bilingual text, bank statements, what merchants sell, spec sheets, product
notes, and dialogues in the chat format. It also learns to do the tasks when told
to in words, as an instruction model does: by a system prompt, by the first
message, or by a heading above a list. Without such words a bare German sentence is
followed by more German, a bank line by more bank lines, and so on.
Held-out combinations of the tasks do not occur here either.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import product_copy
import tax
import translate
from examples import Example, Maker, draw

Message = dict[str, str]
Turn = tuple[str, str]  # what the user says, what the assistant answers
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
CONSONANTS = "b d f g h j k l m n p r s t v w z".split()
VOWELS = "a e i o u".split()
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


def invented_name(rng: random.Random) -> str:
    """A name that nobody has met before, of two or three syllables."""
    syllables = "".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(rng.randint(2, 3)))
    return syllables.capitalize() + rng.choice(["", "", "l", "n", "r", "s"])


def chanted_names(rng: random.Random) -> Document:
    """Names, known and new ones, over and over in the same order."""
    names = [rng.choice([invented_name(rng), rng.choice(product_copy.BRANDS)]) for _ in range(rng.randint(2, 8))]
    line = rng.choice([", ", " ", "; "]).join(names)
    return "\n".join([line] * rng.randint(2, 4))


def named_products(rng: random.Random) -> Document:
    """Products with little more than their names, each told again in other words."""
    lines = []
    for _ in range(rng.randint(1, 4)):
        product = product_copy.make_product(rng)
        name, colour = product.name, product.values["colour"]
        pairs = [
            (f"product: {name}", f"The {name}."),
            (f"product: {name}; colour: {colour}", f"The {name} in {colour}."),
            (f"product: {name}; tone: {product.tone}", f"This is the {name}."),
        ]
        lines += rng.choice(pairs)
    return "\n".join(lines)


def named_product_dialogue(rng: random.Random) -> Document:
    """The user names products, and the assistant says that it has heard."""
    messages: list[Message] = []
    for _ in range(rng.randint(1, 3)):
        product = product_copy.make_product(rng)
        name, colour = product.name, product.values["colour"]
        answers = [
            (f"I have the {name} in {colour}.", f"You have the {name} in {colour}."),
            (f"product: {name}; colour: {colour}", f"Thank you, the {name} is in the list."),
            (f"The {name}, please.", f"I have noted the {name}."),
        ]
        said, answer = rng.choice(answers)
        messages += [{"role": "user", "content": said}, {"role": "assistant", "content": answer}]
    return messages


def invented_product(rng: random.Random) -> Example:
    """A product with a brand that nobody has met before, and its description."""
    product = product_copy.make_product(rng)
    product = replace(product, name=f"{invented_name(rng)} {product.name.split()[1]}")
    return Example(product.spec(rng), product.description(), f"copy:{product.name}:{product.values['colour']}")


def small_talk_turn(rng: random.Random) -> Turn:
    """A greeting or question about nothing in particular."""
    question, answer = rng.choice(SMALL_TALK)
    name = rng.choice(NAMES)
    return question.format(name=name), answer.format(name=name)


def german_turn(rng: random.Random) -> Turn:
    """A German statement; the assistant answers in German."""
    said = sentence_pair(rng).prompt
    return said, rng.choice(
        ["Ist das so? Erzähl mir mehr.", "Das wusste ich nicht.", f"Du sagst: {said}", "Ich verstehe."]
    )


def english_turn(rng: random.Random) -> Turn:
    """An English statement; the assistant answers in English."""
    said = sentence_pair(rng).completion
    return said, rng.choice(
        ["Is that so? Tell me more.", "I did not know that.", f"You say: {said}", "I understand."]
    )


def bank_turn(rng: random.Random) -> Turn:
    """A bank line; the assistant repeats the amount."""
    line = booking(rng).line
    amount = line.split()[-2]
    return line, rng.choice([f"That is a payment of {amount} EUR.", f"You paid {amount} EUR."])


def product_turn(rng: random.Random) -> Turn:
    """An attribute list; the assistant only notes the product."""
    product = product_copy.make_product(rng)
    answer = rng.choice(["Thank you, the {} is in the list.", "I have noted the {}."])
    return product.spec(rng), answer.format(product.name)


TURNS = [small_talk_turn, german_turn, german_turn, german_turn, english_turn, bank_turn, bank_turn, product_turn, product_turn]


@dataclass(frozen=True)
class Instruction:
    """A task with the words that ask for it."""

    make: Maker
    system_prompts: list[str]
    requests: list[str]  # the prompt goes in at {}
    headings: list[str]


TRANSLATION = Instruction(
    translate.make_example,
    ["Translate into English.", "Übersetze ins Englische.", "You translate German sentences into English."],
    ["Translate: {}", "Übersetze: {}", "What is this in English? {}", "Wie heißt das auf Englisch? {}", "{} In English, please."],
    ["German sentences and their translations:", "Deutsch und Englisch:", "Translations into English:"],
)
ACCOUNTING = Instruction(
    tax.make_example,
    ["Name the account for each payment.", "Nenne zu jeder Zahlung das Konto.", "You do the accounting."],
    ["Account for this payment: {}", "Which account is this? {}", "Welches Konto ist das? {}", "{} Account, please."],
    ["Payments and their accounts:", "Zahlungen und Konten:", "The accounting of the month:"],
)
ADVERTISING = Instruction(
    product_copy.make_example,
    ["Write a product text.", "Schreibe einen Produkttext.", "You write texts for a shop."],
    ["Write a product text: {}", "Describe this for the shop: {}", "Schreibe einen Produkttext: {}", "{} Now the text, please."],
    ["Product texts:", "Produkte und ihre Texte:", "Texts for the shop:"],
)

INVENTED = replace(ADVERTISING, make=invented_product)


def headed_list(rng: random.Random, task: Instruction, longest: int) -> Document:
    """A heading that names the task, then prompts with their answers below each other."""
    lines = [rng.choice(task.headings)]
    for _ in range(rng.randint(1, longest)):
        example = draw(task.make, rng)
        lines += [example.prompt, example.completion]
    return "\n".join(lines)


def translation_list(rng: random.Random) -> Document:
    """German sentences, each with its translation below, under a heading."""
    return headed_list(rng, TRANSLATION, 5)


def account_lines(rng: random.Random) -> Document:
    """Bank lines, each with its account below, under a heading."""
    return headed_list(rng, ACCOUNTING, 3)


def product_texts(rng: random.Random) -> Document:
    """Attribute lists, each with its product text below, under a heading."""
    return headed_list(rng, ADVERTISING, 2)


def instructed_dialogue(rng: random.Random, task: Instruction, longest: int) -> Document:
    """A dialogue in which the user asks for the task in words: once for all messages, or in each of them."""
    messages: list[Message] = []
    manner = rng.choice(["system prompt", "first message", "every message"])
    if manner == "system prompt":
        messages.append({"role": "system", "content": rng.choice(task.system_prompts)})
    for index in range(rng.randint(1, longest)):
        example = draw(task.make, rng)
        asked = manner == "every message" or (manner == "first message" and index == 0)
        prompt = rng.choice(task.requests).format(example.prompt) if asked else example.prompt
        messages.append({"role": "user", "content": prompt})
        messages.append({"role": "assistant", "content": example.completion})
    return messages


def translation_dialogue(rng: random.Random) -> Document:
    """The assistant translates, because it was asked to."""
    return instructed_dialogue(rng, TRANSLATION, 3)


def account_dialogue(rng: random.Random) -> Document:
    """The assistant names accounts, because it was asked to."""
    return instructed_dialogue(rng, ACCOUNTING, 3)


def product_dialogue(rng: random.Random) -> Document:
    """The assistant writes product texts, because it was asked to."""
    return instructed_dialogue(rng, ADVERTISING, 2)


def invented_texts(rng: random.Random) -> Document:
    """As product texts, of brands nobody has met before."""
    return headed_list(rng, INVENTED, 2)


def invented_dialogue(rng: random.Random) -> Document:
    """As product dialogues, of brands nobody has met before."""
    return instructed_dialogue(rng, INVENTED, 2)


def dialogue(rng: random.Random) -> Document:
    """One to three turns between a user and the assistant about nothing in particular."""
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
    (bilingual_text, 11),
    (translation_list, 18),
    (translation_dialogue, 20),
    (german_text, 3),
    (english_text, 2),
    (bank_statement, 2),
    (annotated_payments, 4),
    (merchant_facts, 3),
    (account_facts, 3),
    (account_lines, 5),
    (account_dialogue, 5),
    (spec_sheet, 1),
    (product_note, 3),
    (catalogue_text, 3),
    (product_texts, 4),
    (product_dialogue, 4),
    (repeated_list, 3),
    (dialogue, 24),
]
# Hundreds of words in all their forms take longest to learn.
SECOND_MIX: Mix = [*FIRST_MIX, (bilingual_text, 30), (translation_list, 60), (translation_dialogue, 40)]

# A name has to be taken over from the prompt, whatever it is: the last thing that is learnt, and only from many products.
THIRD_MIX: Mix = [
    *SECOND_MIX,
    *[(source, 20) for source in (product_texts, product_dialogue, invented_texts, invented_dialogue, chanted_names)],
    (dialogue, 24),
]
# The same of known names alone, said soon after each other: one name in twenty tokens instead of one in a hundred.
FOURTH_MIX: Mix = [
    *SECOND_MIX,
    (named_products, 60),
    (named_product_dialogue, 60),
    (product_texts, 20),
    (product_dialogue, 20),
    (repeated_list, 10),
    (dialogue, 24),
]
# Back to the translations, without losing the names.
FIFTH_MIX: Mix = [*SECOND_MIX, (product_texts, 10), (product_dialogue, 10)]


def make_document(rng: random.Random, mix: Mix) -> Document:
    """One document of a pretraining mix."""
    sources, weights = zip(*mix)
    return rng.choices(sources, weights)[0](rng)
