/* Names that are common in each country, and how many people of each age live there. */
#include "generator/people.h"

static const char *const us_men[] = {
    "James",     "Robert",    "John",        "Michael",  "David",   "William",  "Richard",
    "Joseph",    "Thomas",    "Christopher", "Charles",  "Daniel",  "Matthew",  "Anthony",
    "Mark",      "Donald",    "Steven",      "Andrew",   "Paul",    "Joshua",   "Kenneth",
    "Kevin",     "Brian",     "Timothy",     "Ronald",   "George",  "Jason",    "Edward",
    "Jeffrey",   "Ryan",      "Jacob",       "Nicholas", "Gary",    "Eric",     "Jonathan",
    "Stephen",   "Larry",     "Justin",      "Scott",    "Brandon", "Benjamin", "Samuel",
    "Gregory",   "Alexander", "Patrick",     "Frank",    "Raymond", "Jack",     "Dennis",
    "Jerry",     "Tyler",     "Aaron",       "José",     "Adam",    "Nathan",   "Henry",
    "Zachary",   "Douglas",   "Peter",       "Kyle",     "Noah",    "Ethan",    "Jeremy",
    "Christian", "Walter",    "Keith",       "Austin",   "Roger",   "Terry",    "Sean",
    "Gerald",    "Carl",      "Dylan",       "Harold",   "Jordan",  "Jesse",    "Bryan",
    "Lawrence",  "Arthur",    "Gabriel",     "Bruce",    "Logan",   "Billy",    "Joe",
    "Alan",      "Juan",      "Elijah",      "Willie",   "Albert",  "Wayne",    "Randy",
    "Mason",     "Vincent",   "Liam",        "Roy",      "Bobby",   "Caleb",    "Bradley",
    "Russell",   "Lucas",     "Jesús",       "Luis",     "Carlos",  "Miguel",   "Andrés",
    "Wei",       "Hiroshi",   "Arjun",       "Omar",     "Malik",
};

static const char *const us_women[] = {
    "Mary",    "Patricia",  "Jennifer", "Linda",     "Elizabeth",  "Barbara",   "Susan",
    "Jessica", "Karen",     "Sarah",    "Lisa",      "Nancy",      "Sandra",    "Ashley",
    "Emily",   "Kimberly",  "Betty",    "Margaret",  "Donna",      "Michelle",  "Carol",
    "Amanda",  "Melissa",   "Deborah",  "Stephanie", "Rebecca",    "Sharon",    "Laura",
    "Cynthia", "Dorothy",   "Amy",      "Kathleen",  "Angela",     "Shirley",   "Emma",
    "Brenda",  "Pamela",    "Nicole",   "Anna",      "Samantha",   "Katherine", "Christine",
    "Debra",   "Rachel",    "Carolyn",  "Janet",     "Maria",      "Olivia",    "Heather",
    "Helen",   "Catherine", "Diane",    "Julie",     "Victoria",   "Joyce",     "Lauren",
    "Kelly",   "Christina", "Ruth",     "Joan",      "Virginia",   "Judith",    "Evelyn",
    "Hannah",  "Andrea",    "Megan",    "Cheryl",    "Jacqueline", "Madison",   "Teresa",
    "Abigail", "Sophia",    "Martha",   "Sara",      "Gloria",     "Janice",    "Kathryn",
    "Ann",     "Isabella",  "Judy",     "Charlotte", "Julia",      "Grace",     "Amber",
    "Alice",   "Jean",      "Denise",   "Frances",   "Danielle",   "Marilyn",   "Natalie",
    "Beverly", "Diana",     "Brittany", "Theresa",   "Kayla",      "Alexis",    "Doris",
    "Lori",    "Tiffany",   "Renée",    "Zoë",       "Sofía",      "Guadalupe", "Mei",
    "Yuki",    "Priya",     "Aisha",    "Fatima",    "Imani",
};

static const char *const us_families[] = {
    "Smith",    "Johnson",   "Williams",   "Brown",     "Jones",      "Garcia",    "Miller",
    "Davis",    "Rodriguez", "Martinez",   "Hernandez", "Lopez",      "Gonzalez",  "Wilson",
    "Anderson", "Thomas",    "Taylor",     "Moore",     "Jackson",    "Martin",    "Lee",
    "Perez",    "Thompson",  "White",      "Harris",    "Sanchez",    "Clark",     "Ramirez",
    "Lewis",    "Robinson",  "Walker",     "Young",     "Allen",      "King",      "Wright",
    "Scott",    "Torres",    "Nguyen",     "Hill",      "Flores",     "Green",     "Adams",
    "Nelson",   "Baker",     "Hall",       "Rivera",    "Campbell",   "Mitchell",  "Carter",
    "Roberts",  "Gomez",     "Phillips",   "Evans",     "Turner",     "Diaz",      "Parker",
    "Cruz",     "Edwards",   "Collins",    "Reyes",     "Stewart",    "Morris",    "Morales",
    "Murphy",   "Cook",      "Rogers",     "Gutierrez", "Ortiz",      "Morgan",    "Cooper",
    "Peterson", "Bailey",    "Reed",       "Kelly",     "Howard",     "Ramos",     "Kim",
    "Cox",      "Ward",      "Richardson", "Watson",    "Brooks",     "Chavez",    "Wood",
    "James",    "Bennett",   "Gray",       "Mendoza",   "Ruiz",       "Hughes",    "Price",
    "Alvarez",  "Castillo",  "Sanders",    "Patel",     "Myers",      "Long",      "Ross",
    "Foster",   "Jimenez",   "Powell",     "Jenkins",   "Perry",      "Russell",   "Sullivan",
    "Bell",     "Coleman",   "Butler",     "Henderson", "Barnes",     "Gonzales",  "Fisher",
    "Vasquez",  "Simmons",   "Romero",     "Jordan",    "Patterson",  "Alexander", "Hamilton",
    "Graham",   "Reynolds",  "Griffin",    "Wallace",   "Moreno",     "West",      "Cole",
    "Hayes",    "Bryant",    "Herrera",    "Gibson",    "Ellis",      "Tran",      "Medina",
    "Aguilar",  "Stevens",   "Murray",     "Ford",      "Castro",     "Marshall",  "Owens",
    "Harrison", "Fernandez", "McDonald",   "Woods",     "Washington", "Kennedy",   "Wells",
    "Vargas",   "Henry",     "Chen",       "Freeman",   "Webb",       "Tucker",    "Guzman",
    "Burns",    "Crawford",  "Olson",      "Simpson",   "Porter",     "Hunter",    "Gordon",
    "Mendez",   "Silva",     "Shaw",       "Snyder",    "Mason",      "Dixon",     "Muñoz",
    "Hunt",     "Hicks",     "Holmes",     "Palmer",    "Wagner",     "Black",     "Robertson",
    "Boyd",     "Rose",      "Stone",      "Salazar",   "Fox",        "Warren",    "Mills",
    "Meyer",    "Rice",      "Schmidt",    "Garza",     "Daniels",    "Ferguson",  "Nichols",
    "Stephens", "Soto",      "Weaver",     "Ryan",      "Gardner",    "Payne",     "Grant",
    "Dunn",     "O'Brien",   "O'Connor",   "Peña",      "Yazzie",     "Begay",     "Kowalski",
    "Müller",
};

static const char *const us_streets[] = {
    "Main Street",      "Oak Street",       "Maple Avenue",       "Cedar Lane",
    "Pine Street",      "Elm Street",       "Washington Avenue",  "Lake Drive",
    "Hill Street",      "Walnut Street",    "Park Avenue",        "Sunset Boulevard",
    "Lincoln Avenue",   "Jackson Street",   "Church Street",      "River Road",
    "Highland Avenue",  "Spring Street",    "Ridge Road",         "Franklin Street",
    "Jefferson Avenue", "Madison Avenue",   "Meadow Lane",        "Forest Drive",
    "Broadway",         "Chestnut Street",  "Willow Lane",        "Mill Road",
    "School Street",    "Union Street",     "Locust Street",      "Prospect Avenue",
    "Valley Road",      "Center Street",    "College Avenue",     "Dogwood Drive",
    "Hickory Lane",     "Magnolia Drive",   "Birch Street",       "Poplar Street",
    "Cherry Lane",      "Adams Street",     "Monroe Street",      "Grant Avenue",
    "Railroad Avenue",  "Orchard Road",     "Country Club Drive", "Canyon Drive",
    "Bay Street",       "Laurel Avenue",    "Cypress Court",      "Sycamore Street",
    "Woodland Road",    "Fairview Drive",   "Pleasant Street",    "Winding Way",
    "Heritage Court",   "Harbor View Road", "Liberty Street",     "Martin Luther King Boulevard",
};

static const char *const gb_men[] = {
    "Oliver",    "George",   "Harry",   "Jack",      "Jacob",     "Noah",    "Charlie",  "Muhammad",
    "Thomas",    "Oscar",    "William", "James",     "Leo",       "Alfie",   "Henry",    "Joshua",
    "Freddie",   "Archie",   "Ethan",   "Isaac",     "Alexander", "Joseph",  "Edward",   "Samuel",
    "Max",       "Logan",    "Lucas",   "Daniel",    "Theo",      "Arthur",  "Mohammed", "Harrison",
    "Benjamin",  "Mason",    "Finley",  "Sebastian", "Adam",      "Dylan",   "Zachary",  "Riley",
    "Teddy",     "Theodore", "David",   "Elijah",    "Jake",      "Toby",    "Louie",    "Reuben",
    "Arlo",      "Hugo",     "Luca",    "Jaxon",     "Matthew",   "Harvey",  "Reggie",   "Michael",
    "Harley",    "Jude",     "Albert",  "Tommy",     "Luke",      "Stanley", "Jenson",   "Frankie",
    "Jayden",    "Gabriel",  "Elliot",  "Mohammad",  "Ronnie",    "Charles", "Louis",    "Elliott",
    "Frederick", "Nathan",   "Lewis",   "Blake",     "Rory",      "Ollie",   "Ryan",     "Tyler",
    "Jackson",   "Dexter",   "Alex",    "Austin",    "Kai",       "Albie",   "Caleb",    "Carter",
    "Bobby",     "Ezra",     "Ellis",   "Leon",      "Roman",     "Ibrahim", "Aaron",    "Liam",
    "Jesse",     "Jasper",   "Seán",    "Ruaridh",   "Hywel",     "Rhys",    "Gethin",   "Callum",
    "Hamish",    "Angus",    "Declan",  "Arjun",     "Kwame",     "Tomasz",
};

static const char *const gb_women[] = {
    "Olivia",  "Amelia",    "Isla",   "Ava",      "Emily",     "Isabella",   "Mia",
    "Poppy",   "Ella",      "Lily",   "Jessica",  "Sophie",    "Grace",      "Sophia",
    "Freya",   "Evie",      "Daisy",  "Alice",    "Florence",  "Charlotte",  "Sienna",
    "Matilda", "Evelyn",    "Rosie",  "Millie",   "Sofia",     "Phoebe",     "Elsie",
    "Ivy",     "Eva",       "Ruby",   "Isabelle", "Willow",    "Layla",      "Emilia",
    "Maya",    "Elizabeth", "Ellie",  "Chloe",    "Aria",      "Erin",       "Harriet",
    "Eliza",   "Maisie",    "Thea",   "Lucy",     "Penelope",  "Violet",     "Imogen",
    "Molly",   "Robyn",     "Hannah", "Bella",    "Lottie",    "Eleanor",    "Luna",
    "Darcie",  "Margaret",  "Ada",    "Zara",     "Scarlett",  "Amelie",     "Lola",
    "Holly",   "Aisha",     "Megan",  "Martha",   "Georgia",   "Clara",      "Arabella",
    "Summer",  "Rose",      "Nancy",  "Esme",     "Gracie",    "Abigail",    "Orla",
    "Jasmine", "Annabelle", "Lara",   "Aurora",   "Beatrice",  "Heidi",      "Edith",
    "Hallie",  "Iris",      "Maria",  "Darcey",   "Maryam",    "Victoria",   "Leah",
    "Lyla",    "Sarah",     "Susan",  "Julie",    "Karen",     "Jacqueline", "Deborah",
    "Tracey",  "Helen",     "Siân",   "Siobhán",  "Niamh",     "Chloë",      "Catrin",
    "Ffion",   "Mhairi",    "Eilidh", "Priya",    "Agnieszka",
};

static const char *const gb_families[] = {
    "Smith",     "Jones",     "Taylor",   "Brown",     "Williams",   "Wilson",    "Johnson",
    "Davies",    "Patel",     "Robinson", "Wright",    "Thompson",   "Evans",     "Walker",
    "White",     "Roberts",   "Green",    "Hall",      "Thomas",     "Clarke",    "Jackson",
    "Wood",      "Harris",    "Edwards",  "Turner",    "Martin",     "Cooper",    "Hill",
    "Ward",      "Hughes",    "Moore",    "Clark",     "King",       "Harrison",  "Lewis",
    "Baker",     "Lee",       "Allen",    "Morris",    "Khan",       "Scott",     "Watson",
    "Davis",     "Parker",    "James",    "Bennett",   "Young",      "Phillips",  "Richardson",
    "Mitchell",  "Bailey",    "Carter",   "Cook",      "Singh",      "Shaw",      "Bell",
    "Collins",   "Morgan",    "Kelly",    "Begum",     "Miller",     "Cox",       "Hussain",
    "Marshall",  "Simpson",   "Price",    "Anderson",  "Adams",      "Wilkinson", "Foster",
    "Ali",       "Murray",    "Gray",     "Rogers",    "Mason",      "Mohammed",  "Webb",
    "Palmer",    "Hunt",      "Holmes",   "Campbell",  "Mills",      "Gibson",    "Chapman",
    "Stevens",   "Butler",    "Matthews", "Lloyd",     "Russell",    "Stewart",   "Barnes",
    "Fisher",    "Knight",    "Ahmed",    "Powell",    "Harvey",     "Graham",    "Barker",
    "Griffiths", "Fletcher",  "Pearson",  "Howard",    "Murphy",     "Reynolds",  "Andrews",
    "Ellis",     "Stevenson", "Dixon",    "Hamilton",  "Ross",       "Reid",      "Robertson",
    "Macdonald", "Fraser",    "Cameron",  "Henderson", "Ferguson",   "Burns",     "Duncan",
    "Kerr",      "Johnston",  "Paterson", "Grant",     "Mackenzie",  "MacLeod",   "Sinclair",
    "Gallagher", "Doherty",   "O'Neill",  "O'Connor",  "McLaughlin", "Quinn",     "Kennedy",
    "Byrne",     "Rees",      "Owen",     "Jenkins",   "Bowen",      "Pritchard", "Vaughan",
    "Bevan",     "Howells",   "Parry",    "Hopkins",   "Gould",      "Barrett",   "Austin",
    "Hart",      "Carr",      "Jordan",   "Chambers",  "Poole",      "Lawson",    "West",
    "Lane",      "Freeman",   "Hudson",   "Atkinson",  "Kaur",       "Osborne",   "Saunders",
    "Spencer",   "Sutton",    "Walsh",    "Ryan",      "Kowalska",   "Nowak",     "Okafor",
    "Mensah",
};

static const char *const gb_streets[] = {
    "High Street",    "Station Road",  "Main Street",     "Park Road",     "Church Road",
    "Church Street",  "London Road",   "Victoria Road",   "Green Lane",    "Manor Road",
    "Church Lane",    "Park Avenue",   "The Avenue",      "The Crescent",  "Queens Road",
    "New Road",       "Grange Road",   "Kings Road",      "Kingsway",      "Windsor Road",
    "Highfield Road", "Mill Lane",     "Alexander Road",  "York Road",     "St John's Road",
    "Main Road",      "Broadway",      "King Street",     "The Green",     "Springfield Road",
    "George Street",  "Park Lane",     "Victoria Street", "Albert Road",   "Queensway",
    "New Street",     "Queen Street",  "West Street",     "North Street",  "Manchester Road",
    "The Grove",      "Richmond Road", "Grove Road",      "South Street",  "School Lane",
    "The Drive",      "North Road",    "Stanley Road",    "Chester Road",  "Mill Road",
    "Orchard Close",  "Meadow Way",    "Chapel Street",   "Bridge Street", "Castle Road",
    "Abbey Close",    "Rectory Lane",  "Vicarage Road",   "Nelson Street", "Wellington Road",
};

/* Residents in thousands, by the first age of the group; the last group ends at GEN_AGE_MAX. */
static const struct gen_ages us_ages[] = {
    {18, 8700},  {20, 22000}, {25, 22000}, {30, 23500}, {35, 22500}, {40, 21500},
    {45, 19800}, {50, 21000}, {55, 20800}, {60, 21200}, {65, 18600}, {70, 15300},
    {75, 11000}, {80, 6600},  {85, 3800},  {90, 1900},  {95, 600},
};
static const struct gen_ages gb_ages[] = {
    {18, 1550}, {20, 4150}, {25, 4400}, {30, 4700}, {35, 4550}, {40, 4350},
    {45, 4150}, {50, 4600}, {55, 4600}, {60, 4050}, {65, 3400}, {70, 3200},
    {75, 2700}, {80, 1700}, {85, 1050}, {90, 480},  {95, 140},
};

#define LIST(names)                               \
    {                                             \
        names, sizeof(names) / sizeof((names)[0]) \
    }

const struct gen_people gen_us_people = {
    .men = LIST(us_men),
    .women = LIST(us_women),
    .families = LIST(us_families),
    .streets = LIST(us_streets),
    .ages = us_ages,
    .age_groups = sizeof(us_ages) / sizeof(us_ages[0]),
};

const struct gen_people gen_gb_people = {
    .men = LIST(gb_men),
    .women = LIST(gb_women),
    .families = LIST(gb_families),
    .streets = LIST(gb_streets),
    .ages = gb_ages,
    .age_groups = sizeof(gb_ages) / sizeof(gb_ages[0]),
};
