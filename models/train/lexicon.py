"""The German and English words of the translation task.

Every German word has exactly one English counterpart here, so a German sentence
built from this lexicon has exactly one right translation.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Noun:
    """A noun; `gender` is m, f or n, and `kinds` says which verbs and adjectives fit."""

    german: str
    gender: str
    german_plural: str
    english: str
    english_plural: str
    kinds: frozenset[str]


@dataclass(frozen=True)
class Verb:
    """A verb with the forms the grammar needs.

    `prefix` is the part a separable verb moves to the end of a main clause and
    `particle` the English word that belongs to the verb ("pick up", "look for").
    `infinitive` and `third` are given without the separable prefix. `objects`
    holds the kinds of noun the verb takes; it is empty for intransitive verbs.
    """

    infinitive: str
    third: str
    participle: str
    english: str
    english_third: str
    english_participle: str
    objects: frozenset[str]
    prefix: str = ""
    particle: str = ""

    @property
    def first(self) -> str:
        """First person singular present, for example "sehe" or "füttere"."""
        if self.infinitive.endswith("ern"):
            return self.infinitive[:-1] + "e"
        return self.infinitive[:-2] + "e"


@dataclass(frozen=True)
class Adjective:
    """An adjective; `stem` takes the endings and `german` is the bare form."""

    german: str
    stem: str
    english: str
    kinds: frozenset[str]


def _nouns(kinds: str, table: str) -> list[Noun]:
    """Read nouns from lines "German gender plural english english-plural [more kinds]"."""
    nouns = []
    for line in table.strip().splitlines():
        german, gender, german_plural, english, english_plural, *more = line.split()
        nouns.append(
            Noun(german, gender, german_plural, english, english_plural,
                 frozenset(kinds.split()) | frozenset(more))
        )
    return nouns


def _verbs(table: str) -> list[Verb]:
    """Read verbs from lines of fields separated by "/".

    The fields are: infinitive (prefix|rest for separable verbs), third person,
    participle, English base, English third person, English participle, and the
    object kinds. An English particle stands after a plus sign in the base form.
    """
    verbs = []
    for line in table.strip().splitlines():
        infinitive, third, participle, base, english_third, english_participle, kinds = (
            field.strip() for field in line.split("/")
        )
        prefix, _, rest = infinitive.rpartition("|")
        english, _, particle = base.partition("+")
        verbs.append(
            Verb(rest, third, participle, english, english_third, english_participle,
                 frozenset(kinds.split()), prefix, particle)
        )
    return verbs


def _adjectives(kinds: str, table: str) -> list[Adjective]:
    """Read adjectives "german=english" or "german(stem)=english" separated by spaces."""
    adjectives = []
    for entry in table.split():
        german, english = entry.split("=")
        german, _, stem = german.rstrip(")").partition("(")
        adjectives.append(Adjective(german, stem or german, english, frozenset(kinds.split())))
    return adjectives


NOUNS = [
    *_nouns("person living", """
        Mann m Männer man men
        Frau f Frauen woman women
        Kind n Kinder child children
        Mädchen n Mädchen girl girls
        Lehrer m Lehrer teacher teachers
        Arzt m Ärzte doctor doctors
        Bäcker m Bäcker baker bakers
        Koch m Köche chef chefs
        Freund m Freunde friend friends
        Bruder m Brüder brother brothers
        Schwester f Schwestern sister sisters
        Tochter f Töchter daughter daughters
        Sohn m Söhne son sons
        Gärtner m Gärtner gardener gardeners
        Verkäufer m Verkäufer seller sellers
        Künstlerin f Künstlerinnen artist artists
        Richterin f Richterinnen judge judges
        Ingenieur m Ingenieure engineer engineers
        König m Könige king kings
        Königin f Königinnen queen queens
    """),
    *_nouns("animal living", """
        Hund m Hunde dog dogs
        Katze f Katzen cat cats
        Vogel m Vögel bird birds
        Pferd n Pferde horse horses
        Kuh f Kühe cow cows
        Maus f Mäuse mouse mice
        Huhn n Hühner chicken chickens
        Schaf n Schafe sheep sheep
        Fuchs m Füchse fox foxes
        Ente f Enten duck ducks
        Gans f Gänse goose geese
    """),
    *_nouns("food portable", """
        Apfel m Äpfel apple apples
        Brötchen n Brötchen roll rolls
        Kuchen m Kuchen cake cakes
        Suppe f Suppen soup soups
        Ei n Eier egg eggs
        Birne f Birnen pear pears
        Kartoffel f Kartoffeln potato potatoes
        Nuss f Nüsse nut nuts
        Tomate f Tomaten tomato tomatoes
        Möhre f Möhren carrot carrots
        Erdbeere f Erdbeeren strawberry strawberries
        Keks m Kekse biscuit biscuits
    """),
    *_nouns("thing portable", """
        Buch n Bücher book books text
        Brief m Briefe letter letters text
        Zeitung f Zeitungen newspaper newspapers text
        Schlüssel m Schlüssel key keys
        Tisch m Tische table tables
        Stuhl m Stühle chair chairs
        Lampe f Lampen lamp lamps
        Tasche f Taschen bag bags container
        Hut m Hüte hat hats
        Mantel m Mäntel coat coats
        Bild n Bilder picture pictures
        Glas n Gläser glass glasses container
        Koffer m Koffer suitcase suitcases container
        Messer n Messer knife knives
        Löffel m Löffel spoon spoons
        Teppich m Teppiche carpet carpets
        Spiegel m Spiegel mirror mirrors
        Ball m Bälle ball balls
        Geschenk n Geschenke present presents container
        Decke f Decken blanket blankets
        Kerze f Kerzen candle candles
        Schuh m Schuhe shoe shoes
        Hemd n Hemden shirt shirts
        Kleid n Kleider dress dresses
        Flasche f Flaschen bottle bottles container
    """),
    *_nouns("thing", """
        Fahrrad n Fahrräder bicycle bicycles machine
        Auto n Autos car cars machine
        Uhr f Uhren clock clocks machine
        Schiff n Schiffe ship ships machine
        Schrank m Schränke cupboard cupboards container
        Tür f Türen door doors container
        Fenster n Fenster window windows container
    """),
    *_nouns("place", """
        Haus n Häuser house houses
        Garten m Gärten garden gardens
        Küche f Küchen kitchen kitchens
        Schule f Schulen school schools
        Stadt f Städte city cities
        Dorf n Dörfer village villages
        Wald m Wälder forest forests
        Kirche f Kirchen church churches
        Museum n Museen museum museums
        Schloss n Schlösser castle castles
        Bahnhof m Bahnhöfe station stations
        Hof m Höfe yard yards
        Keller m Keller cellar cellars
        Höhle f Höhlen cave caves
    """),
]

VERBS = _verbs("""
    sehen / sieht / gesehen / see / sees / seen / living food thing place
    suchen / sucht / gesucht / look+for / looks / looked / living food thing place
    finden / findet / gefunden / find / finds / found / living food thing place
    kaufen / kauft / gekauft / buy / buys / bought / food thing
    verkaufen / verkauft / verkauft / sell / sells / sold / food thing place
    essen / isst / gegessen / eat / eats / eaten / food
    kochen / kocht / gekocht / cook / cooks / cooked / food
    lesen / liest / gelesen / read / reads / read / text
    schreiben / schreibt / geschrieben / write / writes / written / text
    waschen / wäscht / gewaschen / wash / washes / washed / animal portable
    malen / malt / gemalt / paint / paints / painted / living food thing place
    bringen / bringt / gebracht / bring / brings / brought / portable
    tragen / trägt / getragen / carry / carries / carried / portable
    nehmen / nimmt / genommen / take / takes / taken / portable
    öffnen / öffnet / geöffnet / open / opens / opened / container
    schließen / schließt / geschlossen / close / closes / closed / container
    verlieren / verliert / verloren / lose / loses / lost / portable
    vergessen / vergisst / vergessen / forget / forgets / forgotten / portable
    reparieren / repariert / repariert / repair / repairs / repaired / machine
    lieben / liebt / geliebt / love / loves / loved / living place
    kennen / kennt / gekannt / know / knows / known / living place
    hören / hört / gehört / hear / hears / heard / living
    füttern / füttert / gefüttert / feed / feeds / fed / animal
    besuchen / besucht / besucht / visit / visits / visited / person place
    zeichnen / zeichnet / gezeichnet / draw / draws / drawn / living thing place
    verstecken / versteckt / versteckt / hide / hides / hidden / animal portable
    putzen / putzt / geputzt / clean / cleans / cleaned / thing place
    brauchen / braucht / gebraucht / need / needs / needed / food thing
    bauen / baut / gebaut / build / builds / built / place machine
    ab|holen / holt / abgeholt / pick+up / picks / picked / person portable
    ein|laden / lädt / eingeladen / invite / invites / invited / person
    an|rufen / ruft / angerufen / phone / phones / phoned / person
    an|schauen / schaut / angeschaut / look+at / looks / looked / living food thing place
    weg|werfen / wirft / weggeworfen / throw+away / throws / thrown / portable
    auf|räumen / räumt / aufgeräumt / tidy+up / tidies / tidied / place
    schlafen / schläft / geschlafen / sleep / sleeps / slept /
    warten / wartet / gewartet / wait / waits / waited /
    arbeiten / arbeitet / gearbeitet / work / works / worked /
    spielen / spielt / gespielt / play / plays / played /
    singen / singt / gesungen / sing / sings / sung /
    tanzen / tanzt / getanzt / dance / dances / danced /
    lachen / lacht / gelacht / laugh / laughs / laughed /
    weinen / weint / geweint / cry / cries / cried /
    sitzen / sitzt / gesessen / sit / sits / sat /
""")

# The verbs an animal can be the subject of; all others take persons only.
ANIMAL_VERBS = frozenset(
    "sehen suchen finden essen verlieren lieben kennen hören verstecken brauchen "
    "schlafen warten spielen sitzen".split()
)

ADJECTIVES = [
    *_adjectives("living food thing place", """
        groß=big klein=small alt=old schön=beautiful hässlich=ugly seltsam=strange
    """),
    *_adjectives("animal food thing place", """
        rot=red blau=blue grün=green gelb=yellow schwarz=black weiß=white braun=brown grau=grey
    """),
    *_adjectives("living", """
        jung=young schnell=fast langsam=slow stark=strong schwach=weak müde(müd)=tired
        freundlich=friendly traurig=sad glücklich=happy klug=clever mutig=brave laut=loud
        hungrig=hungry faul=lazy fleißig=diligent gefährlich=dangerous
    """),
    *_adjectives("food", "süß=sweet frisch=fresh reif=ripe lecker=tasty"),
    *_adjectives("portable", "warm=warm kalt=cold schwer=heavy leicht=light rund=round"),
    *_adjectives("thing", "neu=new sauber=clean schmutzig=dirty kaputt=broken wertvoll=valuable"),
    *_adjectives("thing food", "teuer(teur)=expensive billig=cheap"),
    *_adjectives("place", "berühmt=famous ruhig=quiet dunkel(dunkl)=dark leer=empty"),
]

TIMES = [
    ("heute", "today"), ("morgen", "tomorrow"), ("jetzt", "now"), ("oft", "often"),
    ("manchmal", "sometimes"), ("am Abend", "in the evening"), ("am Montag", "on Monday"),
    ("im Sommer", "in summer"), ("nächste Woche", "next week"), ("später", "later"),
]

PREPOSITIONS = [("in", "in"), ("vor", "in front of"), ("hinter", "behind"), ("neben", "next to")]

NUMBERS = [
    ("zwei", "two"), ("drei", "three"), ("vier", "four"), ("fünf", "five"), ("sechs", "six"),
    ("sieben", "seven"), ("acht", "eight"), ("zehn", "ten"), ("zwölf", "twelve"),
]
