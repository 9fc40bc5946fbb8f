{"key": "9f444814682df16a", "signature": "oNBPIMmqsV8SjnSB6njbWM5OBkId1ZlRhyQAPh+T6wMz1ymk/5M1spuzw+Fx8HkVge33xW6F77uhPGIyt+GqAQ=="}
