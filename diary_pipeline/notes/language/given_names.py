"""Given names that are common and are no other word: the one list that lets a capital at the start of a sentence be a
person.

Left out on purpose: names that are words (Will, Mark, Rose, Grace, Bill, Frank, Jack) or places (Charlotte, Florence,
Sydney, Georgia, Jordan). A name that is missing is still found inside a sentence, see names.py.
"""

from diary_pipeline.notes.language.english import listed

GIVEN_NAMES = frozenset(
    listed("""
    aaron abdul adam adrian agnes ahmed aisha alan albert alejandro alex alexander alexandra ali alice alicia alina
    amanda amelia amina amir amy ana anastasia andrea andreas andrew andy angela anika anita anja anna annabel anne
    annie antonio arthur astrid barbara beatrice ben benjamin bernard beth bettina bob bobby brenda brian bruno camila
    carl carla carlos carmen caroline catherine cathy cecilia celine charles charlie chloe chris christian christina
    christine christopher claire clara claudia colin connor craig cynthia daniel daniela danielle danny dave david
    deborah denise dennis derek diana diego dmitri dominic donald donna doris dorothy duncan ed eddie edward eileen
    elaine elena eleanor eliza elizabeth ella ellen emil emily emma eric erica erik ernest esther ethan eugene eva
    evelyn fatima felix fiona florian francesca francis franz fred frederik gabriel gabriela gareth gary gavin geoff
    george gerald gerard giulia graham greg gregory greta hannah hans harold harriet harry hassan heather hector heidi
    helen helena helga henrik henry howard hugo ian ibrahim igor ines ingrid irene irina isaac isabel isabella
    isabelle ivan jacob jacqueline jake james jamie jane janet janice jason jeff jennifer jenny jeremy jerome jessica
    jim jimmy joan joanna joanne joe johanna john johnny jonas jonathan jose joseph josephine joshua juan judith julia
    julian julie juliet justin karen karin karl kate katharina katherine kathleen kathryn katie katja keith kelly ken
    kenneth kevin khalid klaus kristin kyle lars laura lauren lena leo leon leonard lewis liam linda lisa liz lorenzo
    louis louise luca lucas lucia lucy luis lukas luke lydia magdalena malcolm manuel marco marcus margaret maria
    marian marie mario marion marta martha martin martina mary mateo mathilda matt matthew maureen maurice max maya
    megan mia renate frida melanie melissa michael michel michelle miguel mike mohamed mohammed monica monika moritz
    muhammad nadia naomi natalia natalie natasha nathan neil nicholas nick nicola nicole nigel nils nina noah noor
    nora norman oleg olga oliver olivia omar oscar otto owen pablo pamela patricia patrick paul paula pauline pedro
    peter petra phil philip philipp phoebe pierre priya rachel raj ralph ramon raphael rebecca regina renata ricardo
    richard rita robert roberto roger roland ronald rosa rosalind rudolf rupert ruth ryan sabine sally sam samantha
    samir samuel sandra sanjay sara sarah sasha scott sean sebastian sergei sharon sheila silvia simon simone sofie
    sonia sophia sophie stefan stefanie stella stephanie stephen steve steven stuart susan susanna susanne svetlana
    sven sylvia tamara tanja tanya tara ted teresa tessa thea theo theresa thomas tim timothy tobias tom tomas tomasz
    tommy tony tracy ulrich ursula valentina valerie vanessa vera veronica vincent vladimir walter wanda wendy werner
    wilhelm wolfgang xavier yasmin yolanda yusuf yvonne zoe
    """)
)
