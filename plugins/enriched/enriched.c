#include <votingd/stage.h>
