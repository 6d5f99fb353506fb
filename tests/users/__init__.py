"""Packages that people use, at their current versions, with smtptls.SSLContext in place of ssl's."""
