"""The fixed words of a rendered note in the languages we have them in; any other note is headed in English."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Headings:
    """What stands around the speaker's own words."""

    when: str
    mood: str
    events: str
    thoughts: str
    takeaways: str
    people: str
    places: str
    topics: str
    quotes: str
    due: str
    recorded: str
    by_file_time: str
    """Said where the instant is only a guess."""
    nothing: str
    """One honest line in a section about which nothing was said."""
    mood_unknown: str
    english_cues_only: str
    not_translated: str
    weekdays: tuple[str, str, str, str, str, str, str]
    moods: tuple[str, str, str, str, str, str]
    """Very negative, negative, neutral, mixed, positive, very positive."""


_ENGLISH = Headings(
    when="Date & Time",
    mood="Mood/Feelings",
    events="Key Events",
    thoughts="Thoughts & Reflections",
    takeaways="Takeaways",
    people="People",
    places="Places",
    topics="Topics",
    quotes="In my own words",
    due="due",
    recorded="recorded",
    by_file_time="by the time of the file",
    nothing="Nothing found in this recording.",
    mood_unknown="Not judged: only English entries are.",
    english_cues_only="Written without a language model: events, thoughts and takeaways are found in English entries "
    "only.",
    not_translated="Written without a language model, which cannot translate: in the language that was spoken.",
    weekdays=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    moods=("very negative", "negative", "neutral", "mixed", "positive", "very positive"),
)
_HEADINGS = {
    "en": _ENGLISH,
    "de": Headings(
        when="Datum & Uhrzeit",
        mood="Stimmung/Gefühle",
        events="Wichtige Ereignisse",
        thoughts="Gedanken & Reflexionen",
        takeaways="Vorhaben",
        people="Personen",
        places="Orte",
        topics="Themen",
        quotes="In meinen Worten",
        due="bis",
        recorded="aufgenommen",
        by_file_time="nach der Zeit der Datei",
        nothing="In dieser Aufnahme nicht gefunden.",
        mood_unknown="Nicht beurteilt: das geschieht nur bei englischen Einträgen.",
        english_cues_only="Ohne Sprachmodell geschrieben: Ereignisse, Gedanken und Vorhaben werden nur in englischen "
        "Einträgen gefunden.",
        not_translated="Ohne Sprachmodell geschrieben, also nicht übersetzt: in der Sprache, die gesprochen wurde.",
        weekdays=("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
        moods=("sehr negativ", "negativ", "neutral", "gemischt", "positiv", "sehr positiv"),
    ),
    "fr": Headings(
        when="Date et heure",
        mood="Humeur/Sentiments",
        events="Événements marquants",
        thoughts="Pensées et réflexions",
        takeaways="À retenir",
        people="Personnes",
        places="Lieux",
        topics="Sujets",
        quotes="Avec mes mots",
        due="pour le",
        recorded="enregistré",
        by_file_time="d'après la date du fichier",
        nothing="Rien trouvé dans cet enregistrement.",
        mood_unknown="Non évaluée : seules les entrées en anglais le sont.",
        english_cues_only="Écrit sans modèle de langue : événements, pensées et choses à faire ne sont trouvés que "
        "dans les entrées en anglais.",
        not_translated="Écrit sans modèle de langue, donc sans traduction : dans la langue parlée.",
        weekdays=("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
        moods=("très négative", "négative", "neutre", "mitigée", "positive", "très positive"),
    ),
    "es": Headings(
        when="Fecha y hora",
        mood="Estado de ánimo/Sentimientos",
        events="Acontecimientos",
        thoughts="Pensamientos y reflexiones",
        takeaways="Conclusiones y tareas",
        people="Personas",
        places="Lugares",
        topics="Temas",
        quotes="Con mis palabras",
        due="para el",
        recorded="grabado",
        by_file_time="según la fecha del archivo",
        nothing="No se encontró nada en esta grabación.",
        mood_unknown="Sin valorar: solo se valoran las entradas en inglés.",
        english_cues_only="Escrito sin modelo de lenguaje: los acontecimientos, pensamientos y tareas solo se "
        "encuentran en entradas en inglés.",
        not_translated="Escrito sin modelo de lenguaje y por eso sin traducir: en la lengua que se habló.",
        weekdays=("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
        moods=("muy negativo", "negativo", "neutro", "mixto", "positivo", "muy positivo"),
    ),
    "it": Headings(
        when="Data e ora",
        mood="Umore/Sentimenti",
        events="Avvenimenti",
        thoughts="Pensieri e riflessioni",
        takeaways="Conclusioni e cose da fare",
        people="Persone",
        places="Luoghi",
        topics="Temi",
        quotes="Con le mie parole",
        due="entro",
        recorded="registrato",
        by_file_time="secondo la data del file",
        nothing="Niente in questa registrazione.",
        mood_unknown="Non valutato: lo sono solo le registrazioni in inglese.",
        english_cues_only="Scritto senza modello linguistico: avvenimenti, pensieri e cose da fare si trovano solo "
        "nelle registrazioni in inglese.",
        not_translated="Scritto senza modello linguistico, quindi non tradotto: nella lingua parlata.",
        weekdays=("lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"),
        moods=("molto negativo", "negativo", "neutro", "misto", "positivo", "molto positivo"),
    ),
}


def headings(language: str) -> Headings:
    """The headings for a note's language, English where we have none."""
    return _HEADINGS.get(language, _ENGLISH)
