/* Of old: what was declared here is in zmq.h. */
#include "zmq.h"
