#define BOOST_TEST_MODULE nlvs
#include <boost/test/unit_test.hpp>
