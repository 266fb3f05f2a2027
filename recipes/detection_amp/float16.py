# The notebook's own precision: float16 with a gradient scaler, which is unscaled before clipping.
# For a GPU. A CPU computes it too, but slowly: `train_cfg.max_epochs=1` shows it in minutes.
_base_ = './config.py'

optim_wrapper = dict(
    dtype='float16',
    loss_scale='dynamic')
