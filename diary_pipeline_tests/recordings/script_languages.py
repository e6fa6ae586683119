"""What diarists say in French, Spanish and Italian, in two languages at once, and when they say goodbye.

Written for this project. Words only, with the file name, language and voice of each passage; speak_languages.py turns
them into audio, languages/ holds the result. No numbers: recognised text is compared word for word, and digits are
folded for English alone.
"""

from dataclasses import dataclass
from pathlib import Path

LANGUAGES = Path(__file__).parent / "languages"
"""The recordings, and in said.json what is said in them and where."""


@dataclass(frozen=True)
class Passage:
    """Part of a recording that one voice speaks in one language."""

    language: str
    voice: str
    """A Kokoro style; a voice of one language may speak another, with an accent."""
    sentences: tuple[str, ...]
    quieter_db: float = 0.0
    """How far below the rest it is spoken."""

    @property
    def text(self) -> str:
        """Return the passage as one line."""
        return " ".join(self.sentences)


@dataclass(frozen=True)
class Diary:
    """One recording."""

    file_name: str
    passages: tuple[Passage, ...]


def _alone(file_name: str, language: str, voice: str, *sentences: str) -> Diary:
    return Diary(file_name, (Passage(language, voice, sentences),))


FRENCH = (
    _alone(
        "fr_le_canal.ogg",
        "fr",
        "ff_siwis",
        "Ce soir, je me suis promenée le long du canal avec Camille.",
        "Il faisait froid, mais le ciel était magnifique.",
        "Elle m'a raconté son voyage au Portugal, et nous avons beaucoup ri.",
        "Je dois lui rendre son livre avant samedi.",
        "Je suis contente, parce que son amitié me manquait.",
    ),
    _alone(
        "fr_le_jardin.ogg",
        "fr",
        "ff_siwis",
        "Ce matin, mon père est venu m'aider dans le jardin.",
        "Nous avons planté un pommier près de la vieille porte.",
        "Il est fatigué depuis son opération, et je m'inquiète pour lui.",
        "Demain, je vais appeler le médecin.",
    ),
    _alone(
        "fr_le_bureau.ogg",
        "fr",
        "ff_siwis",
        "La réunion de cet après-midi s'est très mal passée.",
        "Julien a critiqué mon travail devant toute l'équipe, et je n'ai rien répondu.",
        "En rentrant, j'ai acheté du pain et des fleurs.",
        "Il faut que je lui parle calmement lundi matin.",
    ),
)
SPANISH = (
    _alone(
        "es_el_mercado.ogg",
        "es",
        "ef_dora",
        "Esta mañana fui al mercado con mi hermana Lucía.",
        "Compramos naranjas, pescado fresco y un ramo de flores para mamá.",
        "Después tomamos un café en la plaza y hablamos de las vacaciones.",
        "Tengo que comprar los billetes antes del viernes.",
    ),
    _alone(
        "es_la_entrevista.ogg",
        "es",
        "em_alex",
        "Hoy tuve la entrevista para el nuevo trabajo.",
        "Estaba muy nervioso, pero la directora fue amable y me hizo preguntas interesantes.",
        "Creo que les gustó mi proyecto sobre los trenes.",
        "Ahora solo puedo esperar su respuesta.",
    ),
    _alone(
        "es_la_tormenta.ogg",
        "es",
        "ef_dora",
        "Anoche hubo una tormenta terrible y se fue la luz en todo el barrio.",
        "Encendimos velas y contamos historias hasta muy tarde.",
        "Los niños no tenían miedo, pero el perro temblaba debajo de la mesa.",
        "Mañana debo llamar al electricista.",
    ),
)
ITALIAN = (
    _alone(
        "it_la_cena.ogg",
        "it",
        "if_sara",
        "Ieri sera ho preparato la cena per la mia famiglia.",
        "Mia nonna ha portato una torta di mele, e mio fratello ha suonato la chitarra.",
        "Abbiamo parlato a lungo della nostra casa al mare.",
        "Domani devo scrivere a Giulia.",
    ),
)
ENGLISH_THEN_FRENCH = Diary(
    "en_fr_quiet_end.ogg",
    (
        Passage(
            "en",
            "af_heart",
            (
                "I am sitting on the balcony, and I want to record this in English first.",
                "My friend Sarah came to visit me from Dublin.",
            ),
        ),
        Passage(
            "fr",
            "ff_siwis",
            (
                "Maintenant je continue en français, parce que je suis fatiguée.",
                "Nous avons visité le musée ensemble, et elle a adoré les tableaux.",
                "Ensuite, nous avons mangé des crêpes au bord de la rivière.",
                "Sa fille commence l'école en septembre.",
            ),
        ),
        Passage(
            "fr",
            "ff_siwis",
            (
                "Avant de partir, elle m'a donné une lettre de sa mère.",
                "Je veux lui répondre dimanche.",
                "La maison est très silencieuse ce soir.",
            ),
            quieter_db=20.0,
        ),
    ),
)
SPANISH_THEN_ENGLISH = Diary(
    "es_en_switch.ogg",
    (
        Passage(
            "es",
            "ef_dora",
            (
                "Hoy ha sido un día largo, pero muy bonito.",
                "Por la mañana llevé a los niños al colegio y caminé por el parque.",
                "Las hojas de los árboles ya están amarillas.",
                "Luego trabajé en la biblioteca y encontré un libro antiguo sobre los barcos.",
                "Al mediodía comí con mi amigo Andrés, que acaba de volver de Argentina.",
                "Me habló de las montañas y de su nueva casa.",
                "Por la tarde fui a visitar a mi abuela, que está enferma.",
                "Me dio la mano y me contó la historia de su boda.",
                "Quiero llevarle una manta y sus galletas favoritas.",
            ),
        ),
        Passage(
            "en",
            "af_heart",
            (
                "Now I want to practise my English, because the course begins on Monday.",
                "My teacher says that I should talk about ordinary things.",
                "So, this evening I cooked rice with vegetables, and I burned the onions.",
                "The neighbours are playing music again, and the baby cannot sleep.",
                "I feel calm, and I am grateful for this quiet hour.",
                "Tomorrow I have to return the book and buy a blanket for my grandmother.",
            ),
        ),
    ),
)
# Whisper hears these very words in silence; here they are really said.
THANK_YOU = Diary(
    "en_thank_you.ogg",
    (
        Passage("en", "af_heart", ("That was everything I wanted to say about today.",)),
        Passage("en", "af_heart", ("Thank you.",)),
    ),
)
DIARIES: tuple[Diary, ...] = (*FRENCH, *SPANISH, *ITALIAN, ENGLISH_THEN_FRENCH, SPANISH_THEN_ENGLISH, THANK_YOU)
