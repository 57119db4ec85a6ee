from setuptools import setup

setup(license="Apache-2.0", python_requires=">=3.11,<3.14")
